#!/usr/bin/env python3
"""Input that is wrong: each gets Kafka's own error or a closed connection, and the broker lives."""

import random
import struct

import case
from case import wire

CORRUPT_MESSAGE = 2
MESSAGE_TOO_LARGE = 10
INVALID_TOPIC = 17
INVALID_REQUIRED_ACKS = 21
INVALID_RECORD = 87
UNSUPPORTED_COMPRESSION_TYPE = 76


class Frames(case.BrokerCase):
    settings = ("socket.request.max.bytes=100000",)

    def test_absurd_sizes_close_the_connection(self):
        for size in (-1, 0, 100_001, 0x7FFFFFFF, -0x80000000):
            client = self.another()
            client.send_bytes(struct.pack(">i", size) + b"rest")
            self.assert_closes(client)
        self.assert_serves()

    def test_garbage_closes_the_connection(self):
        for content in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"):
            client = self.another()
            client.send_bytes(content + b"\x00" * 64)
            self.assert_closes(client)
        self.assert_serves()

    def test_unknown_apis_and_versions_close_the_connection(self):
        for key, version in ((-1, 0), (999, 0), (3, 99), (3, -1), (0, 14), (17, 0)):
            client = self.another()
            client.send((key, version, b""))
            self.assert_closes(client)
        self.assert_serves()

    def test_request_may_come_byte_by_byte(self):
        head = struct.pack(">hhi", 3, 1, 7) + wire.string("slow") + wire.array([])
        for byte in struct.pack(">i", len(head)) + head:
            self.client.send_bytes(bytes([byte]))
        self.assertEqual(self.client.receive().correlation, 7)

    def test_half_a_request_and_an_end_leave_nothing_behind(self):
        for _ in range(50):
            client = self.broker.client()
            client.send_bytes(struct.pack(">i", 90_000) + b"x" * 500)
            client.close()
        self.assert_serves()

    def test_counts_beyond_the_bytes_close_the_connection(self):
        for count in (0x7FFFFFFF, 1_000_001, -2, 5):
            client = self.another()
            client.send((3, 1, struct.pack(">i", count)))
            self.assert_closes(client)
        self.assert_serves()

    def test_random_bytes_behind_true_headers_never_end_the_broker(self):
        chance = random.Random(20261123)
        for _ in range(400):
            client = self.broker.client()
            key, version = chance.randrange(0, 76), chance.randrange(0, 14)
            body = chance.randbytes(chance.randrange(0, 200))
            client.send((key, version, body))
            client.close()
        self.assert_serves()


class Batches(case.BrokerCase):
    def setUp(self):
        super().setUp()
        self.create("t")

    def error_of(self, content):
        return wire.produce_error(self.client.ask(wire.produce_bytes("t", 0, content)))

    def change(self, at, form, value, fresh_crc=True):
        """A batch with one field overwritten."""
        content = bytearray(wire.batch([b"one", b"two"]))
        struct.pack_into(">" + form, content, at, value)
        if fresh_crc:
            struct.pack_into(">I", content, 17, wire.crc32c(content[21:]))
        return bytes(content)

    def test_each_flaw_has_kafkas_error(self):
        good = wire.batch([b"one", b"two"])
        flaws = {
            "crc": (self.change(30, "b", 1, fresh_crc=False), CORRUPT_MESSAGE),
            "magic 1": (self.change(16, "b", 1), INVALID_RECORD),
            "magic 9": (self.change(16, "b", 9), CORRUPT_MESSAGE),
            "more counted than there": (self.change(57, "i", 3), INVALID_RECORD),
            "negative count": (self.change(57, "i", -5), INVALID_RECORD),
            "offsets unlike count": (self.change(23, "i", 9), INVALID_RECORD),
            "codec nobody knows": (self.change(21, "h", 7), UNSUPPORTED_COMPRESSION_TYPE),
            "control batch": (self.change(21, "h", 0x20), INVALID_RECORD),
            "length beyond the bytes": (self.change(8, "i", 100_000), INVALID_RECORD),
            "length below a header": (self.change(8, "i", 3), CORRUPT_MESSAGE),
            "cut short": (good[:-3], INVALID_RECORD),
            "two batches": (good + good, INVALID_RECORD),
            "overlong varint": (self.change(61, "I", 0xFFFFFFFF), INVALID_RECORD),
        }
        for name, (content, error) in flaws.items():
            with self.subTest(name):
                self.assertEqual(self.error_of(content), error)
        self.assertEqual(self.produce("t", b"fine"), 0)

    def test_too_large_a_batch_is_refused_by_the_topics_own_limit(self):
        self.create("small", configs=[("max.message.bytes", "200")])
        error = wire.produce_error(self.client.ask(wire.produce("small", 0, [b"x" * 300])))
        self.assertEqual(error, MESSAGE_TOO_LARGE)

    def test_acks_that_do_not_exist_are_refused(self):
        error = wire.produce_error(self.client.ask(wire.produce("t", 0, [b"x"], acks=2)))
        self.assertEqual(error, INVALID_REQUIRED_ACKS)

    def test_random_changes_of_a_batch_are_refused_or_stored_whole(self):
        chance = random.Random(7)
        for _ in range(300):
            content = bytearray(wire.batch([b"some value"]))
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
            self.error_of(bytes(content))
        offset = self.produce("t", b"last")
        error, watermark, _ = wire.fetch_answer(self.client.ask(wire.fetch("t", 0, offset)))
        self.assertEqual((error, watermark), (0, offset + 1))


class Names(case.BrokerCase):
    def test_topic_names_that_kafka_refuses(self):
        for name in ("", ".", "..", "a/b", "a b", "x" * 250, "../../etc", "a\0b", "\xe4"):
            with self.subTest(name):
                reader = self.client.ask(wire.create_topic(name, 1))
                self.assertEqual(wire.topic_answer(reader), INVALID_TOPIC)
        self.create("x" * 249)
        self.assertEqual(self.produce("x" * 249, b"fits"), 0)

    def test_names_that_collide_are_refused(self):
        self.create("a.b")
        self.assertEqual(wire.topic_answer(self.client.ask(wire.create_topic("a_b", 1))),
                         INVALID_TOPIC)


if __name__ == "__main__":
    case.main()
