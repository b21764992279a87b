#!/usr/bin/env python3
"""What operators tell a flow, on a real engine.

    commands.py [--binary FILE] [--engine headrace|kafka] [TEST...]
"""

import json
import subprocess

import place
from place import answer, echo


class Commands(place.FlowCase):
    """flow status, pause, resume and circuit."""

    def flow(self, verb, *words, code=0):
        done = subprocess.run([place.Settings.binary, "flow", verb, self.path, *words,
                               "--bootstrap", self.engine.bootstrap], capture_output=True,
                              text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stderr if code else done.stdout

    def status(self):
        return json.loads(self.flow("status", "--format", "json"))[0]

    def send_some(self, first, count):
        self.send([(f"k{n % 5}", {"n": n}) for n in range(first, first + count)])

    def test_pause_holds_for_all_and_for_those_that_come_later(self):
        endpoint = self.endpoint()
        self.path = self.write([f"call: {endpoint.url}", "emits: done"])
        self.assertEqual(self.status()["state"], "never run")
        self.assertIn("h was never run on this cluster", self.flow("pause", code=4))
        first = self.start(self.path)
        self.send_some(0, 10)
        self.wait_results(10)
        self.flow("pause")
        self.wait(lambda: "it is paused by a command" in self.said(first), "a pause")
        self.send_some(10, 10)
        self.wait(lambda: self.status()["lag"] == 10, "a lag")
        self.assertEqual(self.status()["state"], "paused")
        self.stop(first)
        second = self.start(self.path)
        self.wait(lambda: "it is paused by a command" in self.said(second), "a pause")
        self.assertEqual(endpoint.count(), 10)
        self.flow("resume", "h")
        self.assertEqual(sorted(self.numbers(self.wait_results(20))), list(range(20)))
        self.wait(lambda: self.status()["lag"] == 0, "no lag")
        status = self.status()
        self.assertEqual((status["handler"], status["state"], status["processes"]),
                         ("h", "running", 1))
        self.stop(second)
        self.wait(lambda: self.status()["state"] == "stopped", "the end")
        self.assertIn("has no handler other", self.flow("pause", "other", code=4))

    def test_circuit_is_forced_and_freed(self):
        endpoint = self.endpoint()
        self.path = self.write([f"call: {endpoint.url}", "emits: done"])
        flow = self.start(self.path)
        self.send_some(0, 5)
        self.wait_results(5)
        self.flow("circuit", "h", "open")
        self.wait(lambda: "by a command the circuit is " in self.said(flow), "a circuit")
        self.send_some(5, 5)
        self.wait(lambda: self.status()["lag"] == 5, "a lag")
        self.assertIn("circuit forced open", self.status()["state"])
        self.assertEqual(endpoint.count(), 5)
        self.flow("circuit", "h", "free")
        self.wait_results(10)
        self.assertIn("open, closed or free", self.flow("circuit", "h", "ajar", code=2))

    def test_status_counts_what_is_parked(self):
        calls = []

        def decide(request):
            calls.append(1)
            return echo(request) if len(calls) > 1 else answer(503, b"", Retry_After="8")

        endpoint = self.endpoint(decide)
        self.path = self.write([f"call: {endpoint.url}", "emits: done"])
        self.start(self.path)
        self.send([("k", {"n": n}) for n in range(3)])
        self.wait(lambda: self.status()["parked"] == 3, "three parked events")
        self.assertEqual(self.status()["lag"], 0)
        self.assertEqual(self.numbers(self.wait_results(3)), [0, 1, 2])
        self.wait(lambda: self.status()["parked"] == 0, "none parked")


if __name__ == "__main__":
    place.main(__name__)
