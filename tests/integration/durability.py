#!/usr/bin/env python3
"""What survives what: a test for each line of the table in docs/operating/durability.md.

A power cut is a SIGKILL of headrace_lossy, whose file layer then loses every byte and name that
was not synced (tests/support/lossy_file.c). Nothing here waits for time to pass: what is not yet
on disk at the kill is what the setting lets be so.
"""

import os
import pathlib
import shutil
import signal
import sys
import tempfile
import unittest
import urllib.error
import urllib.request

import case
from case import support, wire

TOPIC = "t"
COUNT = 20
ALL, ONE, NONE = -1, 1, 0
UNKNOWN_TOPIC_OR_PARTITION = 3
KAFKA_STORAGE_ERROR = 56
WAIT_MS = 10_000


def value(number):
    return b"value-%03d" % number


class Machine(unittest.TestCase):
    """A broker that is killed, with or without the machine under it."""

    def setUp(self):
        self.data = tempfile.mkdtemp(prefix="headrace-test-")
        self.addCleanup(shutil.rmtree, self.data, ignore_errors=True)
        self.addCleanup(shutil.rmtree, self.data + ".durable", ignore_errors=True)
        self.broker = self.client = self.binary = self.settings = None
        self.addCleanup(self.kill)

    def start(self, power_fails, flush="disk"):
        self.binary = case.BrokerCase.lossy if power_fails else case.BrokerCase.binary
        self.settings = [f"headrace.flush={flush}"]
        self.live()

    def live(self):
        os.environ["HEADRACE_LOSSY"] = self.data
        self.broker = support.Broker(self.binary, self.data, *self.settings)
        self.client = self.broker.client()

    def kill(self):
        if self.broker is not None:
            broker, self.broker = self.broker, None
            self.client.close()
            broker.stop(signal.SIGKILL)

    def kill_and_start(self):
        self.kill()
        self.live()

    def create(self):
        self.assertEqual(wire.topic_answer(self.client.ask(wire.create_topic(TOPIC, 1))), 0)

    def produce(self, numbers, acks):
        for number in numbers:
            request = wire.produce(TOPIC, 0, [value(number)], acks)
            if acks == NONE:
                self.client.send(request)  # no answer comes
            else:
                self.assertEqual(wire.produce_answer(self.client.ask(request)), (0, number))

    def see(self, count):
        """Fetches until so many records were seen by a consumer."""
        consumer = self.broker.client()
        for number in range(count):
            error, watermark, records = wire.fetch_answer(
                consumer.ask(wire.fetch(TOPIC, 0, number, wait_ms=WAIT_MS)))
            self.assertEqual(error, 0)
            self.assertGreater(watermark, number)
            self.assertIn(value(number), records)
        consumer.close()

    def assert_kept(self, count):
        """Exactly the first values, each at its offset."""
        for number in range(count):
            error, watermark, records = wire.fetch_answer(
                self.client.ask(wire.fetch(TOPIC, 0, number)))
            self.assertEqual((error, watermark), (0, count))
            self.assertIn(value(number), records)


class AcksAll(Machine):
    def keep(self, power_fails, flush="disk"):
        self.start(power_fails, flush)
        self.create()
        self.produce(range(COUNT), ALL)
        self.kill_and_start()
        self.assert_kept(COUNT)

    def test_acks_all_is_kept_by_kill_9(self):
        self.keep(power_fails=False)

    def test_acks_all_is_kept_by_a_power_cut(self):
        self.keep(power_fails=True)

    def test_acks_all_with_flush_os_is_kept_by_kill_9(self):
        self.keep(power_fails=False, flush="os")

    def test_acks_all_with_flush_os_is_lost_by_a_power_cut(self):
        """The setting is obeyed: nothing waited for the disk, so the disk has nothing."""
        self.start(power_fails=True, flush="os")
        self.create()
        self.produce(range(COUNT), ALL)
        self.see(COUNT)
        self.kill_and_start()
        error, _ = wire.produce_answer(self.client.ask(wire.produce(TOPIC, 0, [value(0)])))
        self.assertEqual(error, UNKNOWN_TOPIC_OR_PARTITION)


class AcksOneAndNone(Machine):
    def test_acks_1_is_kept_by_kill_9(self):
        self.start(power_fails=False)
        self.create()
        self.produce(range(COUNT), ONE)
        self.kill_and_start()
        self.assert_kept(COUNT)

    def test_acks_0_that_arrived_is_kept_by_kill_9(self):
        self.start(power_fails=False)
        self.create()
        self.produce(range(COUNT), NONE)
        self.produce([COUNT], ONE)  # by the same connection: all before it have arrived
        self.kill_and_start()
        self.assert_kept(COUNT + 1)

    def test_what_a_consumer_was_shown_is_kept_by_a_power_cut(self):
        for acks in (ONE, NONE):
            with self.subTest(acks=acks):
                self.setUp()
                self.start(power_fails=True)
                self.create()
                self.produce(range(COUNT), acks)
                self.see(COUNT)
                self.kill_and_start()
                self.assert_kept(COUNT)
                self.kill()


class FailedSync(Machine):
    def test_failed_sync_takes_the_folder_offline_at_once_and_reads_go_on(self):
        self.start(power_fails=True)
        self.create()
        self.produce(range(COUNT), ALL)
        broken = pathlib.Path(self.data + ".broken")
        broken.touch()
        self.addCleanup(broken.unlink, missing_ok=True)
        for _ in range(2):
            answer = wire.produce_answer(self.client.ask(wire.produce(TOPIC, 0, [b"x"])))
            self.assertEqual(answer[0], KAFKA_STORAGE_ERROR)
        self.assert_kept(COUNT)
        with self.assertRaises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(self.broker.http + "/healthz", timeout=10)
        self.assertEqual(refused.exception.code, 503)
        refused.exception.close()
        said = self.broker.said()
        self.assertEqual(said.count("offline"), 1, said)
        broken.unlink()
        self.kill_and_start()
        self.assert_kept(COUNT)
        self.produce([COUNT], ALL)
        self.assert_kept(COUNT + 1)


if __name__ == "__main__":
    sys.exit(case.main())
