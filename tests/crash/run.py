#!/usr/bin/env python3
"""Kills the real binary under real clients, again and again, and asks the oracle.

    run.py [--binary FILE] [--kills N] [--seed N] [--lossy] [--keep-percent N] [--out DIR]
           [--seconds N] [--rate N]

One server on one port, clients of librdkafka, Java and franz-go around it. Every 50 ms to 2 s the
server or a client is killed and started again, N times each; now and then a copier is frozen until
its group has given it up, and thaws in the middle of what it was at. In the end the clients finish
in peace, the log is read twice with one more kill in between, and tests/oracle judges what everyone
saw. Exits 0 where nothing is wrong; else prints what, the seed, and the command that does it again,
and leaves data and histories in DIR.

With --kills 0 --seconds N --rate N it is a load test: the same clients for so long, that much
faster.
"""

import argparse
import json
import pathlib
import random
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests/support"))
import killable  # noqa: E402, which finds the rest
import crowd  # noqa: E402
import oracle  # noqa: E402
import process  # noqa: E402
import raw  # noqa: E402
import stored  # noqa: E402
import toolchains  # noqa: E402

ALIVE_S = (0.05, 2.0)   # from one kill to the next
FROZEN_S = (3.5, 5.0)   # longer than the session of a member
KILLS_PER_FREEZE = 5
USURPED_SHARE = 0.5     # of the freezes: another process has the transactional id meanwhile
TWINS_S = (0.5, 1.5)    # how long both then live
END_S = killable.END_S
TOPICS = {"in": 3, "out-python": 2, "out-java": 2, "out-go": 2}
GROUPS = {"copy-python": ["in"], "copy-java": ["in"], "copy-go": ["in"], "readers": list(TOPICS)}
# The smallest segments, so that rolls and checkpoints happen between kills.
SETTINGS = ("log.segment.bytes=1048576", "group.initial.rebalance.delay.ms=50",
            "group.min.session.timeout.ms=500")


class Watch:
    """Asks the server for what must never go back, and writes it down."""

    def __init__(self, server, path):
        self.server = server
        self.history = open(path, "a", encoding="utf-8", buffering=1)
        self.conn = None

    def note(self, op, **event):
        self.history.write(json.dumps({"op": op, **event}) + "\n")

    def connect(self):
        if self.conn is None:
            self.conn = raw.Raw("127.0.0.1", self.server.port)
        return self.conn

    def forget(self):
        if self.conn is not None:
            self.conn.close()
            self.conn = None

    def look(self):
        """One round; what cannot be answered just now is left out."""
        try:
            for topic, count in TOPICS.items():
                for partition in range(count):
                    ends = [self.connect().list_offset(topic, partition, when)
                            for when in (raw.EARLIEST, raw.LATEST)]
                    self.note("marks", topic=topic, partition=partition, low=ends[0],
                              high=ends[1])
            for group, topics in GROUPS.items():
                for topic in topics:
                    self.look_at_group(group, topic)
        except killable.LOST:
            self.forget()

    def look_at_group(self, group, topic):
        offsets = self.connect().committed(group, topic, TOPICS[topic])
        for partition, offset in offsets.items():
            if offset >= 0:
                self.note("offset", group=group, topic=topic, partition=partition,
                          offset=offset)

    def has_caught_up(self, group):
        """Whether the group has committed all that there is; markers may stand behind that."""
        for topic in GROUPS[group]:
            offsets = self.connect().committed(group, topic, TOPICS[topic])
            for partition, offset in offsets.items():
                if stored.has_record(self.connect(), topic, partition, max(0, offset)):
                    return False
        return True


def victims(kills, dice):
    """Who is killed or frozen, in which order."""
    names = ["server"] * kills + dice.choices(list(crowd.CLIENTS), k=kills)
    names += ["freeze"] * -(-kills // KILLS_PER_FREEZE)
    dice.shuffle(names)
    return names


def look_for(watch, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        watch.look()


def strike(name, server, watch, clients):
    watch.note("kill", victim=name)
    if name == "server":
        server.kill()
        watch.forget()
        server.start()
    else:
        clients.kill(name)


def freeze(watch, clients, dice):
    """Freezes a copier until its group has given it up; it may have been replaced when it thaws,
    and then it is killed after both had their time."""
    name = dice.choice(crowd.SHARING)
    clients.freeze(name)
    is_usurped = dice.random() < USURPED_SHARE
    if is_usurped:
        name = clients.usurp(name)
    look_for(watch, dice.uniform(*FROZEN_S))
    clients.thaw(name)
    if is_usurped:
        look_for(watch, dice.uniform(*TWINS_S))
        clients.remove(name)


def kill_loop(options, server, watch, clients):
    dice = random.Random(options.seed)
    for number, name in enumerate(victims(options.kills, dice), 1):
        look_for(watch, dice.uniform(*ALIVE_S))
        if name == "freeze":
            freeze(watch, clients, dice)
        else:
            strike(name, server, watch, clients)
        clients.check_alive()
        if number % 20 == 0:
            print(f"{number} kills", flush=True)


def read_all(watch, server, number, out):
    """Everything stored, and what a reader of committed records gets of it."""
    for topic, count in TOPICS.items():
        for partition in range(count):
            for offset, value in stored.records(watch.connect(), topic, partition):
                watch.note("stored", **{"pass": number}, topic=topic, partition=partition,
                           offset=offset, value=value)
    reader = [toolchains.OUT / "venv/bin/python", HERE / "committed.py",
              server.address(), str(number), out / f"final-{number}.jsonl",
              *(f"{topic}:{count}" for topic, count in TOPICS.items())]
    code, _, said = process.run(reader, END_S)
    if code:
        raise RuntimeError("reading the committed records failed\n" + said.decode())


def read_remains(watch, server, out):
    """After a failure: what can be read tells more about it, but may be nothing."""
    try:
        watch.forget()
        read_all(watch, server, 1, out)
    except killable.EXPECTED as error:
        print(f"and then: {error}", file=sys.stderr)


def run(options, out):
    server = killable.Server(options, out, SETTINGS)
    watch = Watch(server, out / "watch.jsonl")
    clients = crowd.Crowd(server.address(), out, options.seed, options.rate)
    try:
        for topic, count in TOPICS.items():
            watch.connect().create_topic(topic, count)
        clients.start_all()
        for name in ("python", "java", "go"):
            process.poll_until(lambda n=name: watch.connect().ends(f"out-{n}", 2)[0] > 0, END_S,
                               f"the first record of {name}")
        kill_loop(options, server, watch, clients)
        look_for(watch, options.seconds)
        clients.finish(crowd.PRODUCERS)
        for group, members in crowd.MEMBERS.items():
            process.poll_until(lambda g=group: watch.has_caught_up(g), END_S,
                               f"the end of group {group}")
            clients.finish(members)
        watch.look()
        for number in (1, 2):
            read_all(watch, server, number, out)
            watch.forget()
            server.restart()
    except killable.EXPECTED:
        clients.kill_all()  # or they are told more than the reading sees
        read_remains(watch, server, out)
        raise
    finally:
        clients.kill_all()
        server.child.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    killable.add_options(parser, ROOT / "build/crash")
    parser.add_argument("--seconds", type=float, default=0, help="so long without kills, at last")
    parser.add_argument("--rate", type=int, default=1, help="how much faster the clients are")
    options = parser.parse_args()
    out = killable.prepare(options, ["jars", "venv", "go"], [HERE / "CrashClient.java"])
    begin = time.monotonic()
    failures = {}
    checks = oracle.SAFETY + oracle.COMPLETENESS
    try:
        run(options, out)
    except killable.EXPECTED as error:
        failures["run"] = [f"{type(error).__name__}: {error}"]
        checks = oracle.SAFETY
    history = oracle.load(sorted(out.glob("*.jsonl")))
    if history.stored or not failures:
        failures |= oracle.judge(history, checks)
    for line in oracle.describe(failures):
        print(line)
    print(f"{len(history.ops['kill'])} kills in {time.monotonic() - begin:.0f} s, "
          + oracle.summary(history))
    if failures:
        print(f"FAILED; histories in {out}; again: "
              + killable.command_again(options, "tests/crash/run.py")
              + f" --seconds {options.seconds:g} --rate {options.rate}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
