#!/usr/bin/env python3
"""Every client command, by its output and exit code.

    python3 tests/integration/cli.py [--binary FILE] [--bootstrap HOST:PORT]

Without --bootstrap a broker of its own is started; with it, that server is used, Apache Kafka too.
"""

import argparse
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
import uuid

import case
from case import support

DEADLINE_S = 60


class Cli(unittest.TestCase):
    bootstrap = None
    broker = None

    @classmethod
    def setUpClass(cls):
        cls.home = tempfile.mkdtemp(prefix="headrace-test-")
        cls.binary = case.BrokerCase.binary
        cls.server = cls.bootstrap
        if cls.server is None:
            cls.broker = support.Broker(cls.binary, cls.home + "/data")
            cls.server = "{}:{}".format(*cls.broker.address)

    @classmethod
    def tearDownClass(cls):
        if cls.broker is not None:
            cls.broker.stop()
        shutil.rmtree(cls.home, ignore_errors=True)

    def setUp(self):
        self.topic = "t-" + uuid.uuid4().hex
        self.group = "g-" + uuid.uuid4().hex

    def environment(self, **extra):
        kept = {k: v for k, v in os.environ.items() if not k.startswith("HEADRACE_")}
        return {**kept, "HOME": self.home, "XDG_CONFIG_HOME": "",
                "HEADRACE_BOOTSTRAP": self.server, **extra}

    def run_command(self, *words, text="", **extra):
        return subprocess.run([self.binary, *words], input=text.encode(), capture_output=True,
                              env=self.environment(**extra), timeout=DEADLINE_S, check=False)

    def ok(self, *words, text="", **extra):
        """Runs a command that must succeed and say nothing on standard error; its output."""
        done = self.run_command(*words, text=text, **extra)
        self.assertEqual((done.returncode, done.stderr.decode()), (0, ""), words)
        return done.stdout.decode()

    def refused(self, code, *words, text="", **extra):
        """Runs a command that must fail with that code and print nothing; its one sentence."""
        done = self.run_command(*words, text=text, **extra)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(done.stdout, b"")
        return done.stderr.decode()

    def rows(self, *words):
        return json.loads(self.ok(*words, "--format", "json"))

    def create(self, partitions=1):
        self.ok("topic", "create", self.topic, "-p", str(partitions))

    def test_topic_lives_from_create_to_delete(self):
        self.ok("topic", "create", self.topic, "-p", "2", "-c", "retention.ms=3600000")
        self.assertIn("exists", self.refused(1, "topic", "create", self.topic))
        self.ok("topic", "create", self.topic, "--if-not-exists")
        listed = {row["topic"]: row for row in self.rows("topic", "list")}
        self.assertEqual(listed[self.topic], {"topic": self.topic, "partitions": 2, "replicas": 1})
        self.ok("topic", "add-partitions", self.topic, "3")
        self.assertEqual([row["partition"] for row in self.rows("topic", "describe", self.topic)],
                         [0, 1, 2, 3, 4])
        self.ok("topic", "delete", self.topic)
        self.assertIn(self.topic, self.refused(4, "topic", "describe", self.topic))
        self.refused(4, "topic", "delete", self.topic)

    def test_topic_configs_are_shown_set_and_unset(self):
        self.create()
        self.assertEqual(self.rows("topic", "config", self.topic), [])
        self.ok("topic", "config", self.topic, "-s", "retention.ms=1000", "-s",
                "cleanup.policy=compact")
        shown = {row["config"]: row["value"] for row in self.rows("topic", "config", self.topic)}
        self.assertEqual(shown, {"retention.ms": "1000", "cleanup.policy": "compact"})
        self.ok("topic", "config", self.topic, "-u", "retention.ms")
        self.assertEqual(len(self.rows("topic", "config", self.topic)), 1)
        self.assertGreater(len(self.rows("topic", "config", self.topic, "--all")), 15)
        self.refused(1, "topic", "config", self.topic, "-s", "retention.ms=soon")

    def test_lines_come_back_by_the_pattern(self):
        self.create()
        self.ok("produce", self.topic, "-k", ":", "-H", "h=1", text="a:1\nb:2\n:3\n")
        self.assertEqual(self.ok("consume", self.topic, "-e", "-f", "%t|%p|%o|%k|%v|%h\\n"),
                         "".join(f"{self.topic}|0|{i}|{k}|{i + 1}|h=1\n"
                                 for i, k in enumerate(["a", "b", ""])))

    def test_headers_and_nulls_of_a_line(self):
        self.create()
        self.ok("produce", self.topic, "--headers", " ", "-k", ":", "-Z",
                text="a=1,b=2 k:v\nc=3 :\n")
        lines = self.ok("consume", self.topic, "-e", "--format", "json").splitlines()
        first, second = map(json.loads, lines)
        self.assertEqual((first["key"], first["value"], first["headers"]),
                         ("k", "v", [["a", "1"], ["b", "2"]]))
        self.assertEqual((second["key"], second["value"]), (None, None))

    def test_whole_files_are_messages(self):
        self.create()
        path = pathlib.Path(self.home, self.topic)
        path.write_bytes(b"\x00\xff\nx\n" * 1000)
        self.ok("produce", self.topic, "--file", str(path), str(path), "-z", "zstd")
        out = pathlib.Path(self.home, self.topic + ".out")
        self.ok("consume", self.topic, "-e", "-f", "%v", "-O", str(out))
        self.assertEqual(out.read_bytes(), path.read_bytes() * 2)

    def test_ranges_bound_what_is_read(self):
        self.create()
        self.ok("produce", self.topic, text="".join(f"{i}\n" for i in range(10)))
        for words, wanted in ((["-o", "2:5"], "234"), (["-o", "-3:end"], "789"),
                              (["-o", ":-8"], "01"), (["-o", "@-1h:end"], "0123456789"),
                              (["-o", "latest:end"], ""), (["-o", "@2100-01-01:end"], ""),
                              (["-n", "4"], "0123"), (["-o", "8:99"], "89")):
            found = self.ok("consume", self.topic, *words, "-f", "%v")
            self.assertEqual(found, wanted, words)
        self.refused(2, "consume", self.topic, "-o", "sooner")
        self.refused(2, "consume", self.topic, "-f", "%q")
        self.refused(2, "consume", self.topic, "-g", self.group, "-e")
        self.refused(2, "group", "reset", self.group, self.topic)

    def test_many_messages_in_many_partitions(self):
        self.create(5)
        self.ok("produce", self.topic, "-k", ":",
                text="".join(f"k{i}:{i}\n" for i in range(20000)))
        found = self.ok("consume", self.topic, "-e").split()
        self.assertEqual(sorted(map(int, found)), list(range(20000)))

    def test_group_goes_on_where_it_ended(self):
        self.create()
        self.ok("produce", self.topic, text="".join(f"{i}\n" for i in range(10)))
        self.assertEqual(self.ok("consume", self.topic, "-g", self.group, "-n", "4", "-f", "%v"),
                         "0123")
        self.assertEqual(self.ok("consume", self.topic, "-g", self.group, "-n", "6", "-f", "%v"),
                         "456789")
        self.ok("group", "reset", self.group, self.topic, "--to", "7")
        row = self.rows("group", "describe", self.group)[0]
        self.assertEqual((row["topic"], row["offset"], row["end"], row["lag"]),
                         (self.topic, 7, 10, 3))
        self.assertIn(self.group, [row["group"] for row in self.rows("group", "list")])
        self.ok("group", "reset", self.group, self.topic, "--to", "earliest", "--dry-run")
        self.assertEqual(self.rows("group", "describe", self.group)[0]["offset"], 7)
        self.ok("group", "delete", self.group)
        self.refused(4, "group", "describe", self.group)
        self.refused(4, "group", "delete", self.group)

    def test_interrupted_group_member_keeps_its_place(self):
        self.create()
        self.ok("produce", self.topic, text="a\nb\n")
        member = subprocess.Popen([self.binary, "consume", self.topic, "-g", self.group],
                                  stdout=subprocess.PIPE, env=self.environment())
        with member:
            self.assertEqual([member.stdout.readline(), member.stdout.readline()], [b"a\n", b"b\n"])
            row = self.rows("group", "describe", self.group)[0]
            self.assertTrue(row["member"])
            self.refused(1, "group", "delete", self.group)
            member.send_signal(signal.SIGINT)
            self.assertEqual(member.wait(DEADLINE_S), 130)
        self.assertEqual(self.rows("group", "describe", self.group)[0]["lag"], 0)

    def test_missing_topic_and_partition(self):
        self.refused(4, "consume", self.topic, "-e")
        self.refused(4, "produce", self.topic, text="a\n")
        self.create()
        self.refused(4, "consume", self.topic, "-e", "-p", "7")
        self.refused(4, "produce", self.topic, "-p", "7", text="a\n")

    def test_cluster(self):
        self.create()
        self.assertTrue(self.ok("cluster", "health").startswith("healthy: 1 broker, "))
        self.assertEqual(len(self.rows("cluster", "info")), 1)

    def test_server_that_is_not_there(self):
        for words in (["cluster", "health"], ["topic", "list"], ["consume", "x"]):
            said = self.refused(3, *words, "-b", "127.0.0.1:1")
            self.assertIn("127.0.0.1:1", said)
            self.assertEqual(said.count("\n"), 1)

    def test_settings_win_in_order(self):
        path = pathlib.Path(self.home, "profiles")
        path.write_text("bootstrap.servers = 127.0.0.1:1\n[good]\nbootstrap.servers = "
                        f"{self.server}\n[bad]\nbootstrap.servers = 127.0.0.1:2\n")
        profiles = {"HEADRACE_PROFILES": str(path), "HEADRACE_BOOTSTRAP": ""}
        self.assertIn("127.0.0.1:1", self.refused(3, "cluster", "info", **profiles))
        self.ok("cluster", "info", "--profile", "good", **profiles)
        self.ok("cluster", "info", HEADRACE_PROFILE="good", **profiles)
        self.assertIn("127.0.0.1:2",
                      self.refused(3, "cluster", "info", "--profile", "bad", **profiles))
        profiles["HEADRACE_BOOTSTRAP"] = self.server
        self.ok("cluster", "info", "--profile", "bad", **profiles)
        self.refused(3, "cluster", "info", "-b", "127.0.0.1:1", **profiles)
        self.assertIn("did you mean good?",
                      self.refused(4, "cluster", "info", "--profile", "god", **profiles))

    def test_secrets_are_refused_in_arguments(self):
        self.assertIn("secret", self.refused(2, "cluster", "info", "-X", "sasl.password=x"))

    def test_nearly_right_words(self):
        for words, meant in ((["tpic", "list"], "topic list"), (["topic", "lst"], "topic list"),
                             (["consme"], "consume"), (["srve"], "serve")):
            self.assertIn(f"did you mean {meant}?", self.refused(2, *words))
        self.refused(2, "zebra")
        self.refused(2, "topic", "create")
        self.refused(2, "topic", "list", "--bogus")

    def test_config_check(self):
        path = pathlib.Path(self.home, "server.properties")
        path.write_text("node.id=7\nnum.io.threads=8\nlog.retention.hours=1\n")
        done = self.run_command("config", "check", "--given", "--format", "json", str(path))
        self.assertEqual(done.returncode, 0)
        rows = {row["property"]: row for row in json.loads(done.stdout)}
        self.assertEqual(rows["node.id"],
                         {"property": "node.id", "value": "7", "from": "file line 1"})
        self.assertEqual(rows["log.retention.ms"]["value"], "3600000")
        self.assertIn("num.io.threads", done.stderr.decode())
        path.write_text("node.id=7\nnode.idd=8\n")
        said = self.refused(1, "config", "check", str(path))
        self.assertIn("line 2", said)
        self.assertIn("node.id", said)
        self.refused(4, "config", "check", str(path) + ".missing")

    def test_completion_knows_no_other_shell(self):
        self.refused(1, "completion", "csh")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", default=case.BrokerCase.binary)
    parser.add_argument("--bootstrap")
    options, rest = parser.parse_known_args()
    case.BrokerCase.binary = options.binary
    Cli.bootstrap = options.bootstrap
    unittest.main(argv=[sys.argv[0], *rest])


if __name__ == "__main__":
    main()
