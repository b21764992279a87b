#!/usr/bin/env python3
"""Kafka Streams with exactly_once_v2 while both sides are killed again and again.

    run.py [--binary FILE] [--kills N] [--seed N] [--lossy] [--keep-percent N] [--out DIR]
           [--at-least-once]

Two instances of one application, the server, and a producer that writes inputs all the while. The
server is killed N times, the instances N times together, each started anew at once. Then all of it
ends in peace and judge.py computes what must have come out. Exits 0 where that is what came out.
With --at-least-once it exits 0 if the same kills made at least one mistake: the loop can fail.
"""

import argparse
import collections
import pathlib
import random
import shutil
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests/support"))
import killable  # noqa: E402, which finds the rest
import inputs  # noqa: E402
import judge  # noqa: E402
import process  # noqa: E402
import raw  # noqa: E402
import stored  # noqa: E402
import toolchains  # noqa: E402

START_S = 60
END_S = 120
PROGRESS_S = 60
INSTANCES = ("a", "b")
GROUP = "loop"
REPARTITIONED = ("loop-words-repartition", "loop-orders-repartition",
                 "loop-seen-left-repartition")
HASTE_SHARE = 0.4  # of the kills that wait for nothing, so that they hit starts and restores
HASTE_S = (0.05, 2.0)
LATER_S = (0.0, 1.0)
# Members that died are noticed within two seconds, as StreamsApp.java asks.
SETTINGS = ("log.segment.bytes=1048576", "group.initial.rebalance.delay.ms=50",
            "group.min.session.timeout.ms=500")
FIRST_AGE_MS = 3_600_000  # of the first event: event times run fast, and stay in the past


class Loop:
    """A run's processes; `base` is where its event times begin."""

    def __init__(self, options, out):
        self.options = options
        self.out = out
        self.base = int(time.time() * 1000) - FIRST_AGE_MS
        self.server = killable.Server(options, out, SETTINGS)
        self.children = {}
        self.kills = collections.Counter()
        self.conn = None

    def connect(self):
        if self.conn is None:
            self.conn = raw.Raw("127.0.0.1", self.server.port)
        return self.conn

    def forget(self):
        if self.conn is not None:
            self.conn.close()
            self.conn = None

    def start_instance(self, name):
        home = self.out / name
        shutil.rmtree(home / "tmp", ignore_errors=True)  # where RocksDB's library is unpacked
        (home / "tmp").mkdir(parents=True)
        guarantee = "at_least_once" if self.options.at_least_once else "exactly_once_v2"
        java = toolchains.java_command(str(self.out / "classes"))
        java.insert(1, f"-Djava.io.tmpdir={home / 'tmp'}")
        self.children[name] = process.Child(
            [*java, "StreamsApp", self.server.address(), name, home / "state", guarantee],
            self.out / f"{name}.stderr")

    def start_feed(self):
        self.children["feed"] = process.Child(
            [toolchains.OUT / "venv/bin/python", HERE / "feed.py", self.server.address(),
             str(self.options.seed), str(self.base)], self.out / "feed.stderr")

    def await_line(self, name, wanted):
        deadline = process.Deadline(START_S)
        while True:
            line = self.children[name].read_line(deadline)
            if line is None:
                raise RuntimeError(f"{name} ended\n" + self.children[name].stderr_tail())
            if line.decode() == wanted:
                return

    def count_outputs(self):
        """How many records and markers of decided transactions the outputs hold; None: unknown."""
        try:
            return sum(self.connect().stable_offset(topic, partition)
                       for topic in judge.OUTPUTS for partition in range(inputs.PARTITION_COUNT))
        except killable.LOST:
            self.forget()
            return None

    def await_outputs(self, since):
        """Waits for outputs that came after the last kill."""
        process.poll_until(lambda: (self.count_outputs() or 0) > since, PROGRESS_S,
                           "progress after a kill")

    def kill_server(self):
        self.server.kill()
        self.forget()
        self.server.start()
        self.kills["server"] += 1

    def kill_instance(self, name):
        self.children[name].kill()
        self.children[name].close()
        self.start_instance(name)
        self.kills["instance"] += 1

    def check_alive(self):
        for name, child in self.children.items():
            if child.popen.poll() is not None:
                raise RuntimeError(f"{name} gave up\n" + child.stderr_tail())

    def has_caught_up(self, topics):
        """Whether all that is in the topics has been worked off; markers may stand behind that."""
        for topic in topics:
            offsets = self.connect().committed(GROUP, topic, inputs.PARTITION_COUNT)
            for partition, offset in offsets.items():
                first = self.connect().list_offset(topic, partition, raw.EARLIEST)
                if stored.has_record(self.connect(), topic, partition, max(first, offset)):
                    return False
        return True


def victims(options, dice):
    """Who is killed, in which order."""
    names = ["server"] * options.kills
    names += [dice.choice(INSTANCES) for _ in range(options.kills)]
    dice.shuffle(names)
    return names


def pause(loop, dice):
    """Until the next kill: a moment, or until outputs have come and another moment."""
    if dice.random() < HASTE_SHARE:
        time.sleep(dice.uniform(*HASTE_S))
        return
    since = process.poll_until(loop.count_outputs, PROGRESS_S, "an answer of the server")
    loop.await_outputs(since)
    time.sleep(dice.uniform(*LATER_S))


def kill_loop(loop):
    dice = random.Random(loop.options.seed)
    for number, name in enumerate(victims(loop.options, dice), 1):
        pause(loop, dice)
        if name == "server":
            loop.kill_server()
        else:
            loop.kill_instance(name)
        loop.check_alive()
        if number % 20 == 0:
            print(f"{number} kills", flush=True)


def start(loop):
    """Until the instances run and know all customers."""
    for topic in (*inputs.TOPICS, *judge.OUTPUTS):
        loop.connect().create_topic(topic, inputs.PARTITION_COUNT)
    loop.start_feed()
    for name in INSTANCES:
        loop.start_instance(name)
    for name in INSTANCES:
        loop.await_line(name, "state RUNNING")
    loop.await_line("feed", "loaded")
    process.poll_until(lambda: loop.has_caught_up(["customers"]), START_S, "the customers")
    loop.children["feed"].write_line("go")
    loop.await_outputs(0)


def end(loop):
    """Lets everything finish; returns how many events there were."""
    feed = loop.children.pop("feed")
    killable.finish(feed, "feed")
    count = int(feed.read_line(process.Deadline(START_S)))
    process.poll_until(lambda: loop.has_caught_up((*inputs.TOPICS, *REPARTITIONED)), END_S,
                       "the end of the inputs")
    for name in INSTANCES:
        killable.finish(loop.children.pop(name), name)
    loop.kill_server()
    return count


def dump(loop, count):
    """All that was committed, read by a client, beside the inputs computed anew."""
    topics = (*inputs.TOPICS, *judge.OUTPUTS, *map(judge.changelog, judge.CHANGELOGS))
    path = loop.out / "records.jsonl"
    code, _, said = process.run(
        [toolchains.OUT / "venv/bin/python", HERE / "dump.py", loop.server.address(), path,
         str(inputs.PARTITION_COUNT), *topics], END_S)
    if code:
        raise RuntimeError("reading the committed records failed\n" + said.decode())
    events = list(inputs.customers())
    events += [inputs.event(loop.options.seed, number) for number in range(1, count + 1)]
    outcome = judge.Outcome(events, loop.base)
    with open(path, encoding="utf-8") as lines:
        outcome.take(lines)
    return outcome


def run(loop):
    """What came out, once all is over; nothing is left running."""
    try:
        start(loop)
        kill_loop(loop)
        return dump(loop, end(loop))
    finally:
        killable.kill_all(loop.children)
        loop.server.child.kill()


def describe(failures):
    for name, lines in failures.items():
        yield f"{name}: {len(lines)}"
        yield from ("    " + line for line in lines[:judge.SHOWN_MAX])


def verdict(options, failures):
    """The exit code; says what to do about a failure."""
    if options.at_least_once:
        return 0 if failures and "run" not in failures else 1
    if failures:
        print(f"FAILED; records in {options.out}; again: "
              + killable.command_again(options, "tests/streams/run.py"))
    return 1 if failures else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    killable.add_options(parser, ROOT / "build/streams")
    parser.add_argument("--at-least-once", action="store_true",
                        help="without transactions: the same kills must make mistakes")
    options = parser.parse_args()
    out = killable.prepare(options, ["jars", "venv"], sorted(HERE.glob("*.java")))
    begin = time.monotonic()
    loop = Loop(options, out)
    said = "nothing was read"
    try:
        outcome = run(loop)
        failures = judge.judge(outcome)
        said = judge.summary(outcome)
    except killable.EXPECTED as error:
        failures = {"run": [f"{type(error).__name__}: {error}"]}
    for line in describe(failures):
        print(line)
    print(f"{loop.kills.total()} kills in {time.monotonic() - begin:.0f} s, "
          f"{loop.kills['server']} of the server; {said}; "
          f"{sum(map(len, failures.values()))} mistakes")
    return verdict(options, failures)


if __name__ == "__main__":
    sys.exit(main())
