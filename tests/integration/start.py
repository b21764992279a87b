#!/usr/bin/env python3
"""Starting and ending: configuration, ports, data folders, restarts, kill -9."""

import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import unittest

import case
from case import support, wire

# What Apache Kafka 4.3 ships as config/server.properties, in the settings that matter.
STOCK_PROPERTIES = """
process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=localhost:9093
listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://:9093
inter.broker.listener.name=PLAINTEXT
advertised.listeners=PLAINTEXT://127.0.0.1:0,CONTROLLER://localhost:9093
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL
num.network.threads=3
num.io.threads=8
socket.send.buffer.bytes=102400
socket.receive.buffer.bytes=102400
socket.request.max.bytes=104857600
num.partitions=1
num.recovery.threads.per.data.dir=2
offsets.topic.replication.factor=1
share.coordinator.state.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
log.retention.hours=168
log.segment.bytes=1073741824
log.retention.check.interval.ms=300000
"""


class Start(unittest.TestCase):
    def setUp(self):
        self.data = tempfile.mkdtemp(prefix="headrace-test-")
        self.addCleanup(shutil.rmtree, self.data, ignore_errors=True)

    def broker(self, *settings, **options):
        broker = support.Broker(case.BrokerCase.binary, self.data + "/log", *settings, **options)
        self.addCleanup(lambda: broker.process.poll() is None and broker.stop(9))
        return broker

    def refusal(self, *words, data=None):
        """Runs serve with words that must make it end; returns exit code and standard error."""
        command = [case.BrokerCase.binary, "serve", "--data", data or self.data + "/log",
                   "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        self.assertEqual(done.stdout, "")
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        return done.returncode, done.stderr

    def config(self, text):
        path = self.data + "/server.properties"
        pathlib.Path(path).write_text(text, encoding="utf-8")
        return path

    def test_stock_kafka_properties_work(self):
        broker = self.broker(options=("--config", self.config(STOCK_PROPERTIES)), kafka=None)
        client = broker.client()
        client.ask(wire.metadata(["t"]))
        client.close()
        said = broker.said()
        broker.stop()
        self.assertIn("line 11: num.io.threads has no effect: ", said)
        self.assertNotIn("unknown", said)

    def test_misspelt_property_is_an_error_with_line_and_nearest(self):
        path = self.config("node.id=1\nlog.retention.hour=1\n")
        code, said = self.refusal("--config", path)
        self.assertEqual(code, 2)
        self.assertIn(f"{path}: line 2: unknown property log.retention.hour; "
                      "did you mean log.retention.hours?", said)

    def test_pipe_for_a_file_is_not_an_empty_configuration(self):
        pipe = str(pathlib.Path(self.data, "pipe"))
        os.mkfifo(pipe)
        writer = os.open(pipe, os.O_RDWR)
        self.addCleanup(os.close, writer)
        os.write(writer, b"num.partitions=3\n")
        code, said = self.refusal("--config", pipe)
        self.assertEqual(code, 2)
        self.assertIn(f"{pipe}: not a regular file", said)

    def test_wildcard_needs_an_advertised_address(self):
        code, said = self.refusal("-X", "listeners=PLAINTEXT://0.0.0.0:0")
        self.assertEqual(code, 1)
        self.assertIn("advertised.listeners must say", said)

    def test_localhost_is_both_loopback_addresses(self):
        broker = self.broker(kafka="localhost:0")
        port = broker.address[1]
        self.assertEqual(broker.address[0], "localhost")
        wire.Client("127.0.0.1", port).close()
        if os.path.exists("/proc/net/if_inet6") and socket.has_ipv6:
            wire.Client("::1", port).close()
        broker.stop()

    def test_port_in_use_is_one_sentence(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            code, said = self.refusal("--kafka", f"127.0.0.1:{port}")
        self.assertEqual(code, 1)
        self.assertIn(f"listening on 127.0.0.1 port {port}: Address already in use", said)

    def test_data_folder_of_another_process_is_refused(self):
        broker = self.broker()
        code, said = self.refusal()
        broker.stop()
        self.assertEqual(code, 1)
        self.assertIn("another process", said)

    def test_data_folder_of_another_version_is_refused(self):
        self.broker().stop()
        pathlib.Path(self.data, "log/format").write_text("headrace 9\n", encoding="ascii")
        code, said = self.refusal()
        self.assertEqual(code, 1)
        self.assertIn("headrace 9", said)

    def test_file_in_place_of_the_data_folder_is_refused(self):
        path = self.config("")
        code, said = self.refusal(data=path)
        self.assertEqual(code, 1)
        self.assertIn(path, said)

    def test_damaged_manifest_is_refused_and_left_alone(self):
        broker = self.broker()
        client = broker.client()
        client.ask(wire.create_topic("t", 1))
        client.ask(wire.produce("t", 0, [b"x"]))
        client.close()
        broker.stop()
        manifest = pathlib.Path(self.data, "log/manifest")
        damaged = bytearray(manifest.read_bytes())
        damaged[len(damaged) // 2] ^= 0xFF
        manifest.write_bytes(damaged)
        code, said = self.refusal()
        self.assertEqual(code, 1)
        self.assertIn("manifest", said)
        self.assertEqual(manifest.read_bytes(), bytes(damaged))

    def test_folder_of_another_node_is_refused(self):
        self.broker().stop()
        code, said = self.refusal("-X", "node.id=2")
        self.assertEqual(code, 1)
        self.assertIn("belongs to node 1, not node 2", said)

    def test_kill_9_in_the_middle_of_producing_keeps_what_was_acknowledged(self):
        acknowledged = []
        for rounds in range(5):
            broker = self.broker()
            client = broker.client()
            client.ask(wire.metadata(["t"]))
            for number in range(60):
                client.send(wire.produce("t", 0, [b"%d/%d" % (rounds, number)]))
            for number in range(rounds * 12):
                error, offset = wire.produce_answer(client.receive())
                self.assertEqual(error, 0)
                acknowledged.append((offset, b"%d/%d" % (rounds, number)))
            broker.stop(9)
            client.close()
        broker = self.broker()
        client = broker.client()
        for offset, value in acknowledged:
            error, _, records = wire.fetch_answer(client.ask(wire.fetch("t", 0, offset)))
            self.assertEqual(error, 0)
            self.assertIn(value, records)
        client.close()
        broker.stop()

    def test_sigterm_answers_what_was_asked(self):
        broker = self.broker()
        client = broker.client()
        client.ask(wire.create_topic("t", 1))
        waiting = broker.client()
        waiting.send(wire.fetch("t", 0, 0, wait_ms=60000))
        client.ask(wire.metadata([]))
        broker.stop()
        with self.assertRaises((ConnectionError, OSError)):
            wire.fetch_answer(waiting.receive())
            waiting.receive()
        client.close()
        waiting.close()


if __name__ == "__main__":
    case.main()
