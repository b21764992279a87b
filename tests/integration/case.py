"""What the integration tests share: a broker for each test class, and the command line."""

import argparse
import pathlib
import re
import shutil
import sys
import tempfile
import time
import unittest
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
import broker as support  # noqa: E402
import kafka_wire as wire  # noqa: E402,F401


class BrokerCase(unittest.TestCase):
    """Each test has a broker of its own on an empty folder, self.settings set."""

    binary = str(ROOT / "build/release/headrace")
    lossy = str(ROOT / "build/release/tests/headrace_lossy")  # a kill is a power cut
    settings = ()

    def setUp(self):
        self.data = tempfile.mkdtemp(prefix="headrace-test-")
        self.addCleanup(shutil.rmtree, self.data, ignore_errors=True)
        self.broker = support.Broker(self.binary, self.data, *self.settings)
        self.client = self.broker.client()
        self.others = []
        self.is_stopped = False
        self.addCleanup(self.stop)

    def stop(self, *how):
        if not self.is_stopped:
            self.is_stopped = True
            for client in [self.client, *self.others]:
                client.close()
            self.broker.stop(*how)

    def restart(self, *how):
        """Ends the broker and starts another on the same folder."""
        self.stop(*how)
        self.broker = support.Broker(self.binary, self.data, *self.settings)
        self.client = self.broker.client()
        self.is_stopped = False

    def another(self):
        """One more connection, closed at the end."""
        self.others.append(self.broker.client())
        return self.others[-1]

    def create(self, name, partitions=1, **options):
        self.assertEqual(wire.topic_answer(self.client.ask(
            wire.create_topic(name, partitions, **options))), 0)

    def find_coordinator(self, group):
        self.assertEqual(self.client.ask(wire.find_coordinator(group)).number("h"), 0)

    def produce(self, topic, *values, partition=0):
        """Produces the values; returns the base offset."""
        error, offset = wire.produce_answer(
            self.client.ask(wire.produce(topic, partition, list(values))))
        self.assertEqual(error, 0)
        return offset

    def page(self, path):
        """The text of a page over HTTP."""
        with urllib.request.urlopen(self.broker.http + path, timeout=10) as answer:
            return answer.read().decode()

    def metric(self, line):
        """The value of one line of the metrics, named with its labels."""
        return float(re.search(rf"^{re.escape(line)} (\S+)$", self.page("/metrics"), re.M)[1])

    def wait_metric(self, line, value):
        """Asks for the metrics until the line has the value; each answer is an event of its own."""
        end = time.monotonic() + 30
        seen = self.metric(line)
        while seen != value and time.monotonic() < end:
            seen = self.metric(line)
        self.assertEqual(seen, value, line)

    def assert_closes(self, client):
        with self.assertRaises((ConnectionError, OSError)):
            client.receive()

    def assert_serves(self):
        """A new client is served: the broker lives."""
        client = self.broker.client()
        client.ask(wire.metadata([]))
        client.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", default=BrokerCase.binary)
    parser.add_argument("--lossy", default=BrokerCase.lossy)
    options, rest = parser.parse_known_args()
    BrokerCase.binary, BrokerCase.lossy = options.binary, options.lossy
    unittest.main(module="__main__", argv=[sys.argv[0], *rest])
