#!/usr/bin/env python3
"""The protocol's traps, each with a test that names it."""

import struct
import threading
import time

import case
from case import wire

UNKNOWN_TOPIC_OR_PARTITION = 3
LOAD_IN_PROGRESS = 14
INVALID_TOPIC = 17
INVALID_REPLICATION_FACTOR = 38
UNSUPPORTED_VERSION = 35
OUT_OF_ORDER_SEQUENCE_NUMBER = 45


def api_versions(client, version):
    """Asks ApiVersions v3 or v4; returns (error, {key: (min, max)}, {feature: level})."""
    body = b"\x05test\x041.0\x00"
    client.send((18, version, body, b"\x00"))
    reader = client.receive()
    error = reader.number("h")
    keys = {}
    for _ in range(reader.number("B") - 1):
        key, low, high = reader.number("h"), reader.number("h"), reader.number("h")
        reader.number("B")
        keys[key] = low, high
    reader.number("i")
    return error, keys, supported_features(reader)


def supported_features(reader):
    features = {}
    for _ in range(reader.number("B")):
        tag, _size = reader.number("B"), reader.number("B")
        if tag != 0:
            break
        for _ in range(reader.number("B") - 1):
            name = reader.take(reader.number("B") - 1).decode()
            features[name] = reader.number("h"), reader.number("h")
            reader.number("B")
    return features


class Versions(case.BrokerCase):
    def test_produce_is_advertised_from_version_0(self):
        error, keys, _ = api_versions(self.client, 3)
        self.assertEqual(error, 0)
        self.assertEqual(keys[0], (0, 13))

    def test_produce_version_2_is_refused(self):
        self.client.send((0, 2, wire.produce("t", 0, [b"x"])[2]))
        self.assert_closes(self.client)

    def test_unstable_versions_and_what_is_not_served_are_not_advertised(self):
        _, keys, _ = api_versions(self.client, 3)
        self.assertEqual(keys[22], (0, 5))  # InitProducerId v6 is unstable
        for key in (17, 36, 68):
            self.assertNotIn(key, keys)

    def test_unknown_version_of_api_versions_gets_a_version_0_answer(self):
        self.client.send((18, 99, b"", b"\x00"))
        reader = self.client.receive()
        self.assertEqual(reader.number("h"), UNSUPPORTED_VERSION)
        keys = {reader.number("h"): (reader.number("h"), reader.number("h"))
                for _ in range(reader.number("i"))}
        self.assertEqual(keys[18], (0, 4))
        self.assertEqual(reader.at, len(reader.content))

    def test_features_with_minimum_0_are_left_out_below_version_4(self):
        self.assertNotIn("group.version", api_versions(self.client, 3)[2])
        self.assertEqual(api_versions(self.client, 4)[2]["group.version"], (0, 1))
        self.assertEqual(api_versions(self.client, 4)[2]["transaction.version"], (0, 2))

    def test_trailing_bytes_of_a_request_are_ignored(self):
        key, version, body = wire.metadata([])
        self.client.ask((key, version, body + b"\x01\x02\x03"))
        self.assert_serves()


def metadata_v7(client, topic):
    """Leader epoch of partition 0 in Metadata v7."""
    reader = client.ask((3, 7, wire.array([wire.string(topic)]) + b"\x00"))
    reader.number("i")
    for _ in range(reader.number("i")):
        reader.number("i"), reader.string(), reader.number("i"), reader.string()
    reader.string(), reader.number("i"), reader.number("i")
    error = reader.number("h")
    reader.string(), reader.number("b"), reader.number("i")
    reader.number("h"), reader.number("i"), reader.number("i")
    return error, reader.number("i")


def epoch_end(client, topic, epoch):
    """OffsetForLeaderEpoch v2: error, epoch, end offset."""
    part = struct.pack(">iii", 0, -1, epoch)
    reader = client.ask((23, 2, wire.array([wire.string(topic) + wire.array([part])])))
    reader.number("i"), reader.number("i"), reader.string(), reader.number("i")
    error = reader.number("h")
    reader.number("i")
    return error, reader.number("i"), reader.number("q")


class Epochs(case.BrokerCase):
    def test_metadata_batches_and_epoch_ends_agree_over_a_crash(self):
        self.create("t")
        self.produce("t", b"one")
        for rounds in range(2):
            error, epoch = metadata_v7(self.client, "t")
            self.assertEqual(error, 0)
            offset = self.produce("t", b"two")
            _, _, records = wire.fetch_answer(self.client.ask(wire.fetch("t", 0, offset)))
            self.assertEqual(struct.unpack_from(">i", records, 12)[0], epoch)
            self.assertEqual(epoch_end(self.client, "t", epoch), (0, epoch, offset + 1))
            self.restart(9)
            self.assertEqual(metadata_v7(self.client, "t")[1], epoch + 1, f"round {rounds}")


class Creation(case.BrokerCase):
    settings = ("num.partitions=3",)

    def test_auto_creation_answers_in_the_same_metadata(self):
        reader = self.client.ask(wire.metadata(["made"]))
        for _ in range(reader.number("i")):
            reader.number("i"), reader.string(), reader.number("i"), reader.string()
        reader.number("i"), reader.number("i")
        self.assertEqual(reader.number("h"), 0)
        self.assertEqual(reader.string(), "made")
        reader.number("b")
        self.assertEqual(reader.number("i"), 3)

    def test_produce_never_creates(self):
        error = wire.produce_error(self.client.ask(wire.produce("absent", 0, [b"x"])))
        self.assertEqual(error, UNKNOWN_TOPIC_OR_PARTITION)

    def test_replication_factor_3_is_refused_by_name(self):
        reader = self.client.ask(wire.create_topic("t", 1, replication=3))
        self.assertEqual(wire.topic_answer(reader), INVALID_REPLICATION_FACTOR)
        self.assertIn("replication.factor", reader.string())

    def test_replication_factor_minus_1_is_the_default(self):
        self.create("t", replication=-1)

    def test_topic_made_again_is_empty(self):
        self.create("t")
        self.produce("t", b"old")
        self.assertEqual(wire.topic_answer(self.client.ask(wire.delete_topic("t"))), 0)
        self.create("t")
        self.assertEqual(self.produce("t", b"new"), 0)
        self.restart(9)
        self.assertEqual(self.produce("t", b"newer"), 1)


    def test_internal_topics_are_not_made_by_clients(self):
        for name in ("__consumer_offsets", "__transaction_state", "__headrace_metadata"):
            self.assertNotEqual(wire.topic_answer(self.client.ask(wire.create_topic(name, 1))), 0)

    def test_other_names_with_underscores_stay_writable_over_a_restart(self):
        self.create("__history")
        self.produce("__history", b"x")
        self.restart()
        self.assertEqual(self.produce("__history", b"y"), 1)

    def test_name_is_free_as_soon_as_the_deletion_is_answered(self):
        for number in range(200):
            self.create("t")
            if number % 2:
                self.produce("t", b"x")
            self.assertEqual(wire.topic_answer(self.client.ask(wire.delete_topic("t"))), 0)


class Acks(case.BrokerCase):
    def test_error_under_acks_0_closes_the_connection(self):
        self.client.send(wire.produce("absent", 0, [b"x"], acks=0))
        self.assert_closes(self.client)
        self.assert_serves()

    def test_acks_0_gets_no_answer_and_is_stored(self):
        self.create("t")
        self.client.send(wire.produce("t", 0, [b"x"], acks=0))
        self.assertEqual(self.produce("t", b"y"), 1)

    def test_answers_come_in_the_order_of_requests(self):
        self.create("t")
        sent = []
        for number in range(200):
            self.client.send(wire.produce("t", 0, [b"%d" % number]) if number % 3
                             else wire.metadata([]))
            sent.append(self.client.correlation)
        self.assertEqual([self.client.receive().correlation for _ in sent], sent)

    def test_internal_topics_refuse_clients(self):
        self.find_coordinator("g")
        for topic in ("__consumer_offsets", "__headrace_metadata"):
            error = wire.produce_error(self.client.ask(wire.produce(topic, 0, [b"x"])))
            self.assertEqual(error, INVALID_TOPIC)
            reader = self.client.ask(wire.delete_records(topic, 0, 0))
            reader.number("i"), reader.number("i"), reader.string(), reader.number("i")
            reader.number("i"), reader.number("q")
            self.assertEqual(reader.number("h"), INVALID_TOPIC)


class Idempotence(case.BrokerCase):
    def send(self, sequence, epoch=0):
        content = wire.batch([b"x"], producer=(4711, epoch, sequence))
        return wire.produce_answer(self.client.ask(wire.produce_bytes("t", 0, content)))

    def test_duplicates_and_gaps_are_known_over_restarts(self):
        self.create("t")
        for sequence in range(3):
            self.assertEqual(self.send(sequence), (0, sequence))
        for how in ((), (9,)):
            self.assertEqual(self.send(1), (0, 1))
            self.assertEqual(self.send(7)[0], OUT_OF_ORDER_SEQUENCE_NUMBER)
            self.restart(*how)
        self.assertEqual(self.send(2), (0, 2))
        self.assertEqual(self.send(3), (0, 3))


class Fetching(case.BrokerCase):
    def test_first_batch_comes_whole_whatever_the_limit(self):
        self.create("t")
        self.produce("t", b"a" * 5000)
        self.produce("t", b"b" * 5000)
        _, watermark, records = wire.fetch_answer(
            self.client.ask(wire.fetch("t", 0, 0, bytes_max=1)))
        self.assertEqual(watermark, 2)
        self.assertGreater(len(records), 5000)
        self.assertLess(len(records), 10000)

    def test_long_poll_ends_when_enough_bytes_have_come(self):
        self.create("t")
        waiting = self.another()
        waiting.send(wire.fetch("t", 0, 0, wait_ms=30000, bytes_min=3000))
        begin = time.monotonic()
        self.produce("t", b"a" * 1000)
        self.produce("t", b"b" * 3000)
        error, _, records = wire.fetch_answer(waiting.receive())
        self.assertEqual(error, 0)
        self.assertGreater(len(records), 4000)
        self.assertLess(time.monotonic() - begin, 10)

    def test_long_poll_ends_with_nothing_when_its_time_is_over(self):
        self.create("t")
        begin = time.monotonic()
        error, _, records = wire.fetch_answer(
            self.client.ask(wire.fetch("t", 0, 0, wait_ms=300)))
        self.assertEqual((error, records), (0, b""))
        self.assertGreaterEqual(time.monotonic() - begin, 0.29)

    def test_large_slices_arrive_as_they_were_sent(self):
        self.create("t", configs=[("max.message.bytes", "4000000")])
        values = [bytes([65 + n]) * 700_000 for n in range(4)]
        for value in values:
            self.produce("t", value)
        _, _, records = wire.fetch_answer(
            self.client.ask(wire.fetch("t", 0, 0, bytes_max=50_000_000)))
        for value in values:
            self.assertIn(value, records)

    def test_out_of_range_says_so(self):
        self.create("t")
        self.assertEqual(wire.fetch_answer(self.client.ask(wire.fetch("t", 0, 5)))[0], 1)


class Groups(case.BrokerCase):
    def committed(self, group, topic):
        """The offset committed, asked again while the group's partition is being loaded."""
        error = LOAD_IN_PROGRESS
        while error == LOAD_IN_PROGRESS:
            reader = self.client.ask(wire.fetch_offset(group, topic, 0))
            reader.number("i"), reader.string(), reader.number("i"), reader.number("i")
            offset, _, error = reader.number("q"), reader.string(), reader.number("h")
        self.assertEqual(error, 0)
        return offset

    def commit(self, group, topic, offset):
        self.find_coordinator(group)
        reader = self.client.ask(wire.commit_offset(group, topic, 0, offset))
        reader.number("i"), reader.string(), reader.number("i"), reader.number("i")
        self.assertEqual(reader.number("h"), 0)

    def test_group_lies_on_the_partition_of_javas_hash(self):
        self.create("t")
        self.commit("hello", "t", 1)  # "hello".hashCode() is 99162322, modulo 50 is 22
        _, watermark, _ = wire.fetch_answer(
            self.client.ask(wire.fetch("__consumer_offsets", 22, 0)))
        self.assertEqual(watermark, 1)

    def test_commits_outlive_kill_9(self):
        self.create("t")
        self.commit("g", "t", 41)
        self.commit("g", "t", 42)
        self.restart(9)
        self.assertEqual(self.committed("g", "t"), 42)

    def test_deleting_a_topic_deletes_its_offsets(self):
        self.create("t")
        self.create("kept")
        self.commit("g", "t", 5)
        self.commit("g", "kept", 6)
        self.assertEqual(wire.topic_answer(self.client.ask(wire.delete_topic("t"))), 0)
        self.create("t")
        self.assertEqual(self.committed("g", "t"), -1)
        self.assertEqual(self.committed("g", "kept"), 6)

    def test_joins_of_one_group_wait_for_each_other(self):
        self.create("t")
        self.find_coordinator("g")
        clients = [self.another() for _ in range(3)]
        generations = []

        def join(client):
            reader = client.ask(wire.join_group("g", "", ["t"]))
            reader.number("i")
            generations.append((reader.number("h"), reader.number("i")))

        threads = [threading.Thread(target=join, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(generations, [(0, 1)] * 3)


class SlowReaders(case.BrokerCase):
    def test_reader_that_was_slow_is_read_on_once_it_has_taken_its_answers(self):
        self.create("t")
        for _ in range(24):
            self.produce("t", bytes(900000))
        client = self.another()
        client.socket.settimeout(10)
        client.send(wire.fetch("t", 0, 0, bytes_max=40 << 20))
        size, = struct.unpack(">i", client.exactly(4))  # so much is on its way: the queue is full
        self.assertGreater(size, 20 << 20)
        client.send(wire.list_offsets("t", 0, -1))
        self.wait_metric("headrace_server_paused_connections", 1)
        left = size
        while left > 0:
            left -= len(client.socket.recv(min(left, 1 << 20)))
        self.assertIsNotNone(client.receive())
        self.wait_metric("headrace_server_paused_connections", 0)


class Pages(case.BrokerCase):
    def test_health_readiness_and_metrics(self):
        self.create("t")
        self.produce("t", b"x", b"y")
        self.find_coordinator("g")
        self.client.ask(wire.commit_offset("g", "t", 0, 1))
        self.assertEqual(self.page("/healthz"), "ok\n")
        self.assertEqual(self.page("/readyz"), "ready\n")
        page = self.page("/metrics")
        for line in ('kafka_topic_partition_current_offset{topic="t",partition="0"} 2',
                     'kafka_consumergroup_lag{consumergroup="g",topic="t",partition="0"} 1',
                     'kafka_network_requestmetrics_requests_total{request="Produce"} 1'):
            self.assertIn(line + "\n", page)


if __name__ == "__main__":
    case.main()
