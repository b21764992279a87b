#!/usr/bin/env python3
"""The same requests to Headrace and to Apache Kafka: do both answer alike?

    python3 tests/interop/differential.py [--scenario TEXT] [--binary PATH] [--verbose]
                                          [--first SEED] [--seeds N]

Every scenario of scenarios.py's tables, and N random ones, run against both brokers, each with a
topic, a group and a transactional id of its own. Its answers are compared field by field but for
what no two brokers share: times, texts, and the numbers of producers, which are named by their
order. A step with `differs` must differ, for the reason given; docs/differences.md tells it to
users.
"""

import argparse
import dataclasses
import pathlib
import signal
import socket
import struct
import sys
import tempfile
import time

import codec
import kafka_node
import process
import raw
import scenario
import scenarios
import server
import toolchains
from scenario import kafka_wire

IO_S = 30
START_S = 60
# The leader or the coordinator is not there yet, or is at work on the transaction before.
BUSY = {6, 14, 15, 16, 51}
BUSY_S = 8  # how long one answer may be that before it counts as the answer
PRODUCE_BUSY = {19}  # what Produce says for 51 to clients that do not know it
STABLE_S = 30
RANDOM_COUNT = 40
OLD_MS = 60_000  # batches are older than all that brokers write themselves
DROPPED = {"throttle_time_ms", "log_append_time_ms", "error_message", "record_errors",
           "current_leader", "node_endpoints", "leader_epoch", "timestamp",
           "committed_leader_epoch", "coordinator_epoch", "last_timestamp",
           "transaction_start_time_ms", "batch_index_error_message", "topic_id", "documentation"}
CHANGES = {"AlterConfigs", "CreatePartitions", "CreateTopics", "DeleteTopics",
           "IncrementalAlterConfigs"}
TOPIC_KIND = 2
BARRIER = "barrier"  # a topic for await_changes
IDS = {"producer_id", "member_id", "leader"}
MEMBER_ID_REQUIRED = 79  # an error that tells something


class Broker:
    """One side: a connection for each scenario, and the names of those met in it."""

    def __init__(self, running):
        self.running = running
        self.raw = raw.Raw(running.host, running.port)
        self.socket = None
        self.correlation = 0
        self.ids = {}  # of producers and members -> what answers call them
        self.change = 0

    def warm_up(self):
        """Has the broker make its internal topics, which Kafka does at the first need of them."""
        self.begin()
        self.raw.create_topic(BARRIER)
        for kind in (0, 1):
            process.poll_until(lambda kind=kind: self.has_coordinator(kind), START_S,
                               "a coordinator")

    def has_coordinator(self, kind):
        found = self.ask("FindCoordinator", 4, {"key_type": kind, "coordinator_keys": ["warm-up"]})
        return not any(codes(found))

    def await_changes(self):
        """Kafka answers a change of topics or configs before it is in force; the next change that
        is seen says that all before it are."""
        self.change += 1
        self.ask("IncrementalAlterConfigs", 1, {"resources": [
            {"resource_type": TOPIC_KIND, "resource_name": BARRIER, "configs": [
                {"name": "retention.ms", "config_operation": 0, "value": str(self.change)}]}]})

        def is_seen():
            answer = self.ask("DescribeConfigs", 4, {"resources": [
                {"resource_type": TOPIC_KIND, "resource_name": BARRIER,
                 "configuration_keys": ["retention.ms"]}]})
            return answer["results"][0]["configs"][0]["value"] == str(self.change)

        process.poll_until(is_seen, STABLE_S, "a change of configs")

    def begin(self):
        self.close()
        self.socket = socket.create_connection((self.running.host, self.running.port), IO_S)
        self.ids = {-1: -1, "": ""}

    def close(self):
        if self.socket:
            self.socket.close()

    def exactly(self, size):
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                raise ConnectionError("the broker closed the connection")
            data += part
        return data

    def ask(self, api, version, values):
        self.correlation += 1
        request = codec.request(api, version, values, self.correlation)
        self.socket.sendall(struct.pack(">i", len(request)) + request)
        (size,) = struct.unpack(">i", self.exactly(4))
        return codec.response(api, version, self.exactly(size))

    def patiently(self, api, version, values):
        """Asks again for as long as the answer is that the broker is busy."""
        busy = BUSY | (PRODUCE_BUSY if api == "Produce" else set())
        deadline = process.Deadline(BUSY_S)
        while True:
            answer = self.ask(api, version, values)
            if deadline.passed() or not busy & set(codes(answer)):
                return answer
            time.sleep(process.POLL_S)

    def plain(self, value, dropped, key=""):
        """An answer without what differs between any two brokers."""
        if isinstance(value, dict):
            return {k: self.plain(v, dropped, k) for k, v in value.items() if k not in dropped}
        if isinstance(value, list):  # in no order: it is that of Kafka's hash tables
            return sorted((self.plain(v, dropped) for v in value), key=repr)
        if key == "records":
            return [(b.base_offset, b.count, b.codec) for b in raw.parse_batches(value or b"")]
        if key in IDS:
            return self.ids.setdefault(value, f"id-{len(self.ids)}")
        return value


def codes(answer):
    """All error codes within an answer."""
    if isinstance(answer, list):
        for item in answer:
            yield from codes(item)
    elif isinstance(answer, dict):
        for key, value in answer.items():
            if key.endswith("error_code"):
                yield value
            else:
                yield from codes(value)


@dataclasses.dataclass
class Run:
    """A scenario's way through one broker: what it knows, and what it was answered."""

    broker: Broker
    state: dict
    answers: list = dataclasses.field(default_factory=list)

    def take(self, step):
        values = scenario.resolve(step.values, self.state)
        try:
            answer = getattr(self, step.how)(step, values)
        except ConnectionError:
            self.broker.begin()
            answer = "the connection is closed"
        except process.Timeout as late:  # never alike, not even where both are late
            answer = f"{self.broker.running.port}: {late}"
        self.answers.append(self.broker.plain(answer, DROPPED | set(step.ignores)))

    def ask(self, step, values):
        answer = self.broker.patiently(step.api, step.version, values)
        if step.api in CHANGES:
            self.broker.await_changes()
        if not set(codes(answer)) - {0, MEMBER_ID_REQUIRED}:
            self.state.update({name: answer[field] for name, field in step.keep.items()})
        return answer

    def look(self, _, values):
        """What is to be seen of the topic and the transaction."""
        topic, numbers = values["topic"], range(scenario.PARTITIONS)
        seen = {"transaction": self.settled(values["tid"])}
        for name, isolation in (("ends", 0), ("stable", 1)):
            asked = [{"partition_index": p, "timestamp": raw.LATEST} for p in numbers]
            answer = self.broker.patiently("ListOffsets", 7, {
                "replica_id": -1, "isolation_level": isolation,
                "topics": [{"name": topic, "partitions": asked}]})
            seen[name] = {p["partition_index"]: p["offset"]
                          for p in answer["topics"][0]["partitions"]}
        answer = self.broker.patiently("DescribeProducers", 0, {"topics": [
            {"name": topic, "partition_indexes": list(numbers)}]})
        seen["producers"] = {p["partition_index"]: p["active_producers"]
                             for p in answer["topics"][0]["partitions"]}
        return seen

    def settled(self, tid):
        """The transaction's description once it is not between two states."""
        def described():
            answer = self.broker.ask("DescribeTransactions", 0, {"transactional_ids": [tid]})
            state = answer["transaction_states"][0]
            return None if state["transaction_state"].startswith("Prepare") else state

        return process.poll_until(described, STABLE_S, f"the end of {tid}")

    def await_stable(self, step, values):
        """Waits until nothing of the topic's first partition is open."""
        topic = values["topic"]
        process.poll_until(lambda: self.broker.raw.stable_offset(topic, 0)
                           == self.broker.raw.list_offset(topic, 0, raw.LATEST) > 0,
                           STABLE_S, f"the end of what is open in {topic}")
        return self.look(step, values)


    def await_compacted(self, _, values):
        """Waits until, of all but the last few records (`active`), each key has only its newest,
        and no tombstone is left where there is to be none (`bare`); returns what is left."""
        def settled():
            records = self.stored(values["topic"])
            old = records[:-values["active"]]
            newest = {r.key: r.offset for r in old}
            is_done = all(newest[r.key] == r.offset and not (values["bare"] and r.value is None)
                          for r in old)
            return [tuple(r) for r in records] if is_done else None

        return process.poll_until(settled, STABLE_S, f"the compaction of {values['topic']}")

    def await_start(self, _, values):
        """Waits until the first partition begins at an offset or behind it; returns where."""
        def start():
            found = self.broker.raw.list_offset(values["topic"], 0, raw.EARLIEST)
            return found if found >= values["start"] else None

        return process.poll_until(start, STABLE_S, f"{values['topic']} to begin later")

    def await_topic(self, _, values):
        """Waits until the topic is known, or is not (`known`)."""
        def is_so():
            answer = self.broker.ask("Metadata", 9, {
                "topics": [{"name": values["topic"]}], "allow_auto_topic_creation": False})
            return (answer["topics"][0]["error_code"] == 0) == values["known"]

        return process.poll_until(is_so, STABLE_S, f"{values['topic']} to come or go")

    def await_empty(self, _, values):
        """Waits until the first partition is there and ends where it begins, at 0."""
        def is_empty():
            try:
                return self.broker.raw.list_offset(values["topic"], 0, raw.LATEST) == 0
            except raw.KafkaError:
                return False

        return process.poll_until(is_empty, STABLE_S, f"{values['topic']} to be empty")

    def stored(self, topic):
        """The records of the first partition, less the markers of transactions."""
        conn, found = self.broker.raw, []
        offset = conn.list_offset(topic, 0, raw.EARLIEST)
        end = conn.list_offset(topic, 0, raw.LATEST)
        while offset < end:
            part = [r for r in kafka_wire.records_of(conn.fetch(topic, 0, offset))
                    if r.offset >= offset]
            if not part:  # the rest was removed
                break
            found += [r for r in part if not r.is_control]
            offset = part[-1].offset + 1
        return found


def run_scenario(name, steps, brokers):
    """Takes a scenario's steps on both sides; returns the differences as texts."""
    state = {"topic": name, "tid": f"{name}.id", "group": f"{name}.group",
             "time_ms": int(time.time() * 1000) - OLD_MS}
    runs = [Run(broker, dict(state)) for broker in brokers]
    for run in runs:
        run.broker.begin()
        run.broker.raw.create_topic(name, scenario.PARTITIONS)
        for step in steps:
            run.take(step)
    found = []
    for at, step in enumerate(steps):
        ours, theirs = (run.answers[at] for run in runs)
        if (ours == theirs) == bool(step.differs):
            reason = f" (should differ: {step.differs})" if step.differs else ""
            found.append(f"step {at + 1}, {step.label()}{reason}")
            found += [f"    {path}: Headrace {a!r}, Kafka {b!r}" for path, a, b in
                      unlike(ours, theirs)]
    return found


def flat(value, path=""):
    """The leaves of an answer by their paths."""
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list) and value:
        items = enumerate(value)
    else:
        return {path: value}
    return {k: v for key, one in items for k, v in flat(one, f"{path}.{key}").items()}


def unlike(ours, theirs):
    ours, theirs = flat(ours), flat(theirs)
    for path in dict.fromkeys([*ours, *theirs]):
        a, b = ours.get(path, "nothing"), theirs.get(path, "nothing")
        if a != b:
            yield path, a, b


def compare(brokers, chosen, verbose):
    failed = count = 0
    for name, steps in chosen.items():
        count += 1
        differences = run_scenario(name, steps, brokers)
        failed += bool(differences)
        if differences or verbose:
            print(f"{'FAIL' if differences else 'ok':4} {name}", flush=True)
        for text in differences:
            print("     " + text, flush=True)
    print(f"{count - failed} scenarios alike, {failed} not")
    return 1 if failed or not count else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--scenario", help="only those whose name holds this")
    parser.add_argument("--binary", default=toolchains.ROOT / "build/release/headrace",
                        type=pathlib.Path)
    parser.add_argument("--first", type=int, default=1, help="the first random one's seed")
    parser.add_argument("--seeds", type=int, default=RANDOM_COUNT, help="how many random ones")
    parser.add_argument("--verbose", action="store_true", help="name those alike too")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    known = {**scenarios.named(), **scenarios.drawn(args.first, args.seeds)}
    chosen = {name: steps for name, steps in known.items() if (args.scenario or "") in name}
    toolchains.build(["jars"])
    with tempfile.TemporaryDirectory(prefix="headrace-differential-") as folder:
        data = pathlib.Path(folder)
        started = []
        try:
            started.append(server.Headrace(args.binary, data / "headrace", data / "stderr"))
            started.append(kafka_node.KafkaNode(data / "kafka", overrides=server.PROPERTIES))
            brokers = [Broker(one) for one in started]
            for broker in brokers:
                broker.warm_up()
            return compare(brokers, chosen, args.verbose)
        finally:
            for one in started:
                one.stop()


if __name__ == "__main__":
    sys.exit(main())
