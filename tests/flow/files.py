#!/usr/bin/env python3
"""Flow files, right and wrong, against the binary and against an independent JSON Schema validator.

    files.py --binary FILE
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import unittest

import jsonschema
import yaml

HERE = pathlib.Path(__file__).resolve().parent
BLIND = "# schema: cannot know"
BINARY = None


def run(*argv):
    return subprocess.run([BINARY, "flow", *map(str, argv)], capture_output=True, text=True,
                          check=False)


def expected(path):
    """What must be said of a wrong file."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line[2:] for line in lines if re.match(r"# \d+:\d+: ", line)]


def readings(path):
    """The file with every scalar as its text, and as JSON would have it."""
    text = path.read_text(encoding="utf-8")
    yield yaml.load(text, Loader=yaml.BaseLoader)
    yield yaml.load(text, Loader=JsonLoader)


class JsonLoader(yaml.SafeLoader):
    """YAML 1.2's kinds: no times, and of yes and no nothing."""


JsonLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers
            if not tag.endswith((":timestamp", ":bool"))]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()}
JsonLoader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:true|false)$"),
                                 list("tf"))


class FlowFiles(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        schema = json.loads(run("schema").stdout)
        jsonschema.Draft202012Validator.check_schema(schema)
        cls.validator = jsonschema.Draft202012Validator(schema)

    def test_good_files_are_taken(self):
        files = sorted((HERE / "good").glob("*.yaml"))
        self.assertTrue(files)
        for path in files:
            with self.subTest(path.name):
                done = run("check", path)
                self.assertEqual(done.returncode, 0, done.stderr)
                for reading in readings(path):
                    errors = [e.message for e in self.validator.iter_errors(reading)]
                    self.assertEqual(errors, [])

    def test_bad_files_are_refused_with_all_their_problems(self):
        files = sorted((HERE / "bad").glob("*.yaml"))
        self.assertTrue(files)
        for path in files:
            with self.subTest(path.name):
                done = run("check", path)
                said = [line.removeprefix(f"{path}:") for line in done.stderr.splitlines()
                        if line.startswith(f"{path}:")]
                self.assertEqual(said, expected(path))
                self.assertEqual((done.returncode, done.stdout), (1, ""))

    def test_schema_refuses_what_it_can_know(self):
        for path in sorted((HERE / "bad").glob("*.yaml")):
            is_blind = path.read_text(encoding="utf-8").startswith(BLIND)
            if path.name == "yaml.yaml":
                continue  # no matter of a schema
            with self.subTest(path.name):
                is_taken = all(self.validator.is_valid(reading) for reading in readings(path))
                self.assertEqual(is_taken, is_blind)

    def test_graph_shows_topics_handlers_and_dead_letters(self):
        done = run("graph", "--format=mermaid", HERE / "good/shop.yaml")
        self.assertEqual(done.returncode, 0, done.stderr)
        lines = [line.strip() for line in done.stdout.splitlines()]
        self.assertEqual(lines[0], "flowchart LR")
        for line in ('topic0(["orders"])', 'handler0["reserve-stock"]',
                     'topic0 -->|"order.placed"| handler0', 'handler0 -->|"stock.reserved"| topic1',
                     'handler0 -.-> dead0>"orders.dlq"]', 'topic3 -->|"system.error"| handler2'):
            self.assertIn(line, lines)

    def test_picture_is_drawn(self):
        done = run("graph", HERE / "good/shop.yaml")
        wanted = (HERE / "good/shop.picture").read_text(encoding="utf-8")
        self.assertEqual(done.stdout, wanted)

    def test_group_names_stand_in_the_table(self):
        rows = json.loads(run("check", "--format=json", HERE / "good/shop.yaml").stdout)
        self.assertEqual([row["group"] for row in rows],
                         ["shop.reserve-stock", "shop.take-payment", "shop.log-errors"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    options, rest = parser.parse_known_args()
    BINARY = pathlib.Path(options.binary).resolve()
    unittest.main(argv=[sys.argv[0], *rest])
