#!/usr/bin/env python3
"""Kills the real binary under real clients, again and again, and asks the oracle.

    run.py [--binary FILE] [--kills N] [--seed N] [--lossy] [--keep-percent N] [--out DIR]

One server on one port, clients of librdkafka and of Java around it. Every 50 ms to 2 s the server
is killed and started again. In the end the clients finish in peace, the log is read twice with one
more kill in between, and tests/oracle judges what everyone saw. Exits 0 where nothing is wrong;
else prints what, the seed, and the command that does it again, and leaves data and histories in
DIR.
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
import oracle  # noqa: E402
import process  # noqa: E402
import raw  # noqa: E402
import stored  # noqa: E402
import toolchains  # noqa: E402

ALIVE_S = (0.05, 2.0)  # from ready to the kill
END_S = killable.END_S
TOPICS = {"in": 3, "out-python": 2, "out-java": 2}
GROUPS = {"copy-python": ["in"], "copy-java": ["in"], "readers": list(TOPICS)}
# The smallest segments, so that rolls and checkpoints happen between kills.
SETTINGS = ("log.segment.bytes=1048576", "group.initial.rebalance.delay.ms=50")


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


def start_clients(options, server, out):
    python = [toolchains.OUT / "venv/bin/python", HERE / "client.py"]
    java = toolchains.java_command(str(out / "classes")) + ["CrashClient"]
    roles = [("python", python, "copy"), ("java", java, "copy"), ("p0", python, "produce"),
             ("p1", java, "produce"), ("r0", python, "read"), ("r1", python, "read")]
    clients = {}
    for name, command, role in roles:
        clients[name] = process.Child(
            [*command, role, server.address(), name, out / f"{name}.jsonl",
             str(options.seed)], out / f"{name}.stderr")
    return clients


def kill_loop(options, server, watch, clients):
    schedule = random.Random(options.seed)
    for number in range(options.kills):
        end = time.monotonic() + schedule.uniform(*ALIVE_S)
        while time.monotonic() < end:
            watch.look()
        server.kill()
        watch.forget()
        watch.note("kill", number=number)
        server.start()
        for name, client in clients.items():
            if client.popen.poll() is not None:
                raise RuntimeError(f"{name} gave up after kill {number}\n" + client.stderr_tail())
        if options.kills > 20 and number % 20 == 19:
            print(f"{number + 1} kills", flush=True)


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
    clients = {}
    try:
        for topic, count in TOPICS.items():
            watch.connect().create_topic(topic, count)
        clients.update(start_clients(options, server, out))
        for name in ("python", "java"):
            process.poll_until(lambda n=name: watch.connect().ends(f"out-{n}", 2)[0] > 0, END_S,
                               f"the first record of {name}")
        kill_loop(options, server, watch, clients)
        for name in ("p0", "p1"):
            killable.finish(clients.pop(name), name)
        for group, members in (("copy-python", ["python"]), ("copy-java", ["java"]),
                               ("readers", ["r0", "r1"])):
            process.poll_until(lambda g=group: watch.has_caught_up(g), END_S,
                               f"the end of group {group}")
            for name in members:
                killable.finish(clients.pop(name), name)
        watch.look()
        for number in (1, 2):
            read_all(watch, server, number, out)
            watch.forget()
            server.restart()
    except killable.EXPECTED:
        killable.kill_all(clients)  # or they are told more than the reading sees
        read_remains(watch, server, out)
        raise
    finally:
        killable.kill_all(clients)
        server.child.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    killable.add_options(parser, ROOT / "build/crash")
    options = parser.parse_args()
    out = killable.prepare(options, ["jars", "venv"], [HERE / "CrashClient.java"])
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
              + killable.command_again(options, "tests/crash/run.py"))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
