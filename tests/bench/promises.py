#!/usr/bin/env python3
"""Measures what the README promises and says whether each number holds.

    python3 tests/bench/promises.py [--binary build/release/headrace] [--rounds 5]

Times are the median of the rounds. Memory is VmRSS of the process. Exits 1 if a promise is broken.
"""

import argparse
import pathlib
import signal
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
import kafka_wire as wire  # noqa: E402
from broker import Broker, Scratch  # noqa: E402

GROUP_SIZE = 500
REBALANCE_DELAY_MS = 100  # group.initial.rebalance.delay.ms


def first_record_ms(binary):
    """From exec to the first acknowledged record on an empty data folder."""
    with Scratch() as data:
        broker = Broker(binary, data)
        client = broker.client()
        client.ask(wire.metadata(["first"]))
        error = wire.produce_error(client.ask(wire.produce("first", 0, [b"hello"])))
        took_ms = (time.monotonic() - broker.begin) * 1000
        client.close()
        broker.stop()
        if error:
            raise SystemExit(f"the first record was refused with error {error}")
        return took_ms


def idle_memory_kib(binary):
    with Scratch() as data:
        broker = Broker(binary, data)
        broker.client().close()
        rss = broker.rss_kib()
        broker.stop()
        return rss


def partitions_memory_kib(binary):
    """What a further 1,000 empty partitions cost."""
    with Scratch() as data:
        broker = Broker(binary, data)
        client = broker.client()
        client.ask(wire.create_topic("before", 10))
        before = broker.rss_kib()
        client.ask(wire.create_topic("many", 1000))
        cost = broker.rss_kib() - before
        broker.stop()
        return cost


def connections_memory_kib(binary):
    """What a further 1,000 idle connections cost, each having asked once."""
    with Scratch() as data:
        broker = Broker(binary, data)
        warm = [broker.client() for _ in range(10)]
        for client in warm:
            client.ask(wire.metadata([]))
        before = broker.rss_kib()
        clients = [broker.client() for _ in range(1000)]
        for client in clients:
            client.ask(wire.metadata([]))
        cost = broker.rss_kib() - before
        for client in clients + warm:
            client.close()
        broker.stop()
        return cost


def join_all(clients, topic):
    """Lets every client join; returns (member id, generation) of each and the leader's place."""
    clients[0].ask(wire.find_coordinator("crowd"))
    for client in clients:
        client.send(wire.join_group("crowd", "", [topic]))
    members, leader = [], None
    for place, client in enumerate(clients):
        reader = client.receive()
        reader.number("i")
        error, generation = reader.number("h"), reader.number("i")
        reader.string()
        leader_id, member_id = reader.string(), reader.string()
        if error:
            raise SystemExit(f"joining failed with error {error}")
        if leader_id == member_id:
            leader = place
        members.append((member_id, generation))
    return members, leader


def group_settles_ms(binary):
    """From the first join of 500 consumers to the last one's assignment, less the delay."""
    with Scratch() as data:
        broker = Broker(binary, data)
        clients = [broker.client() for _ in range(GROUP_SIZE)]
        clients[0].ask(wire.create_topic("work", GROUP_SIZE))
        begin = time.monotonic()
        members, leader = join_all(clients, "work")
        generations = {generation for _, generation in members}
        for place, client in enumerate(clients):
            member, generation = members[place]
            assignments = [(m, b"work") for m, _ in members] if place == leader else []
            client.send(wire.sync_group("crowd", generation, member, assignments))
        for client in clients:
            reader = client.receive()
            reader.number("i")
            if reader.number("h") or reader.data() != b"work":
                raise SystemExit("a member got no assignment")
        took_ms = (time.monotonic() - begin) * 1000
        broker.stop()
        if len(generations) != 1:
            raise SystemExit("the group needed more than one generation")
        return took_ms - REBALANCE_DELAY_MS


def restart_ms(binary):
    """Ready again after kill -9 with 10,000 partitions, each holding a record."""
    with Scratch() as data:
        broker = Broker(binary, data)
        client = broker.client()
        for topic in range(10):
            client.ask(wire.create_topic(f"t{topic}", 1000))
            for partition in range(1000):
                client.send(wire.produce(f"t{topic}", partition, [b"x"], acks=1))
            for partition in range(1000):
                if wire.produce_error(client.receive()):
                    raise SystemExit("a record was refused")
        error = wire.produce_error(client.ask(wire.produce("t0", 0, [b"last"])))
        if error:
            raise SystemExit(f"the last record was refused with error {error}")
        broker.stop(signal.SIGKILL)
        again = Broker(binary, data)
        error = wire.produce_error(again.client().ask(wire.produce("t9", 999, [b"again"])))
        again.stop()
        if error:
            raise SystemExit(f"after the restart a record was refused with error {error}")
        return again.ready_ms


PROMISES = [
    ("From exec to the first acknowledged record", first_record_ms, "ms", 50),
    ("Resident memory when idle", idle_memory_kib, "KiB", 10 * 1024),
    ("A further 1,000 empty partitions", partitions_memory_kib, "KiB", 2 * 1024),
    ("A further 1,000 idle connections", connections_memory_kib, "KiB", 2 * 1024),
    ("A group of 500 settles, beyond the delay", group_settles_ms, "ms", 1000),
    ("Serving after kill -9 with 10,000 partitions", restart_ms, "ms", 1000),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--binary", default=str(ROOT / "build/release/headrace"))
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    broken = 0
    print(f"{'':46} {'median':>8} {'worst':>8} {'promise':>9}")
    for title, measure, unit, promise in PROMISES:
        rounds = 1 if measure is restart_ms else options.rounds
        values = [measure(options.binary) for _ in range(rounds)]
        median = statistics.median(values)
        broken += median > promise
        mark = "" if median <= promise else "  BROKEN"
        print(f"{title:46} {median:8.0f} {max(values):8.0f} {promise:6} {unit:3}{mark}", flush=True)
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
