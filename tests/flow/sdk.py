#!/usr/bin/env python3
"""Handlers written with the official CloudEvents SDKs for Python and JavaScript.

    sdk.py [--binary FILE] [--engine headrace|kafka] [TEST...]

The SDKs come from PyPI and npm into build/flow-sdk.
"""

import json
import shutil
import subprocess
import sys

import place

SOURCE = place.ROOT / "tests/flow/sdk"
HOME = place.ROOT / "build/flow-sdk"


def install():
    """Both SDKs, anew when what is asked for has changed."""
    wanted = "".join((SOURCE / name).read_text(encoding="utf-8")
                     for name in ("requirements.txt", "package-lock.json"))
    stamp = HOME / "stamp"
    if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
        shutil.rmtree(HOME, ignore_errors=True)
        HOME.mkdir(parents=True)
        subprocess.run([sys.executable, "-m", "venv", HOME / "venv"], check=True)
        subprocess.run([HOME / "venv/bin/pip", "install", "-q", "--no-input", "-r",
                        SOURCE / "requirements.txt"], check=True)
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(SOURCE / name, HOME)
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent"], cwd=HOME, check=True)
        stamp.write_text(wanted, encoding="utf-8")
    shutil.copy(SOURCE / "service.mjs", HOME)  # Node looks for packages beside the source


class Sdks(place.FlowCase):
    """Each SDK reads what it is called with, and what it answers is emitted."""

    @classmethod
    def setUpClass(cls):
        install()
        super().setUpClass()

    def serve(self, *command):
        """The URL of a service."""
        service = subprocess.Popen([str(word) for word in command], cwd=HOME,
                                   stdout=subprocess.PIPE, text=True)
        self.addCleanup(service.stdout.close)
        self.addCleanup(service.wait)
        self.addCleanup(service.kill)
        return f"http://127.0.0.1:{int(service.stdout.readline())}"

    def answer(self, url, *lines):
        """The headers of the one result, whose data must be the event's."""
        self.start(self.write([f"call: {url}", "emits: done", *lines]))
        data = {"text": "gr\u00fc\u00df", "n": [1, 2.5], "deep": {"yes": True}}
        self.call("produce", self.topic("things"), "--header", "ce_specversion=1.0",
                  "--header", "ce_id=a b%c", "--header", "ce_source=/s", "--header",
                  "ce_type=made", "--header", "ce_note=\u00e9 \"%", "--header",
                  "content-type=application/json", stdin=json.dumps(data) + "\n")
        result = self.wait_results(1)[0]
        self.assertEqual(json.loads(result["value"]), data)
        headers = self.headers(result)
        self.assertEqual(headers["ce_type"], "done")
        self.assertEqual(headers["ce_causationid"], "a b%c")
        self.assertEqual(headers["ce_note"], "\u00e9 \"%")
        self.assertEqual(self.dead(), [])

    def python(self):
        return self.serve(HOME / "venv/bin/python", SOURCE / "service.py")

    def node(self):
        return self.serve("node", HOME / "service.mjs")

    def test_python_binary(self):
        self.answer(self.python() + "/binary")

    def test_python_structured(self):
        self.answer(self.python() + "/structured", "mode: structured")

    def test_node_binary(self):
        self.answer(self.node() + "/binary")

    def test_node_structured(self):
        self.answer(self.node() + "/structured", "mode: structured")


if __name__ == "__main__":
    place.main(__name__)
