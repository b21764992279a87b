#!/usr/bin/env python3
"""The commands about dead letters, on a real engine.

    dead_letters.py [--binary FILE] [--engine headrace|kafka] [TEST...]
"""

import json
import pathlib
import subprocess
import time

import place
from place import answer, echo


class DeadLetters(place.FlowCase):
    """What people do about events that could not be handled."""

    def begin(self, events, partitions=2):
        """A flow whose endpoint rejects bad events until it is mended; once these are dead."""
        self.is_mended = False

        def decide(request):
            kind = request.data().get("bad")
            if kind and not self.is_mended:
                return answer(kind, b"not this one")
            return echo(request)

        self.served = self.endpoint(decide)
        self.path = self.write([f"call: {self.served.url}", "emits: done", "inbox: 10m"],
                               partitions)
        self.flow = self.start(self.path)
        self.send_events(events)
        bad = sum(1 for _, _, data in events if data.get("bad"))
        self.wait(lambda: len(self.dead()) == bad, f"{bad} dead letters")
        self.dlq_topic = self.topic("things") + ".dlq"

    def dlq(self, verb, *words, code=0, stdin=None):
        return self.call("dlq", verb, self.dlq_topic, *words, code=code, stdin=stdin)

    def listed(self, *words):
        return json.loads(self.dlq("list", "--format", "json", *words))

    def entries(self, *words):
        return {row["key"]: row for row in self.listed("--entries", *words)}

    def refused(self, *words, code=1):
        done = subprocess.run([place.Settings.binary, "dlq", *words, "--bootstrap",
                               self.engine.bootstrap], capture_output=True, text=True, timeout=60,
                              check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stderr

    def test_they_are_listed_and_shown(self):
        self.begin([("a", "1", {"bad": 400}), ("b", "2", {"bad": 400}), ("c", "3", {"bad": 422}),
                    ("d", "4", {"n": 4})])
        groups = {row["class"]: row for row in self.listed()}
        self.assertEqual({name: row["count"] for name, row in groups.items()},
                         {"http-400": 2, "http-422": 1})
        self.assertEqual(groups["http-422"]["handler"], "h")
        self.assertEqual(groups["http-422"]["message"], "HTTP status 422: not this one")
        self.assertLessEqual(groups["http-400"]["first"], groups["http-400"]["last"])
        self.assertEqual(sorted(self.entries("--class", "http-400")), ["a", "b"])
        self.assertEqual(self.listed("--handler", "nobody"), [])
        entry = self.entries()["c"]
        self.assertEqual((entry["calls"], entry["journeys"]), (1, 0))
        shown = self.dlq("show", entry["entry"])
        self.assertIn("__dlq.errors.class: http-422", shown)
        self.assertIn('{"bad": 422}', shown)
        self.assertEqual(self.dlq("show", entry["entry"], "--value"), '{"bad": 422}')
        whole = json.loads(self.dlq("show", entry["entry"], "--format", "json"))
        self.assertEqual(whole["key"], "c")

    def test_redriven_one_is_handled_once_with_its_id(self):
        self.begin([("a", "1", {"bad": 400, "n": 1}), ("b", "2", {"bad": 422, "n": 2})])
        dry = self.dlq("redrive", "--all", "--dry-run")
        self.assertIn("2 would be redriven", dry)
        self.assertEqual(len(self.entries()), 2)
        self.is_mended = True
        self.assertIn("1 redriven", self.dlq("redrive", self.entries()["a"]["entry"]))
        self.assertEqual(self.numbers(self.wait_results(1)), [1])
        self.assertEqual(sorted(self.entries()), ["b"])
        last = self.served.requests[-1]
        self.assertEqual((last.headers["ce-id"], last.headers["headrace-attempt"]), ("1", "1"))
        self.assertIn("1 redriven; the others were dealt with before",
                      self.dlq("redrive", "--all"))
        self.assertEqual(sorted(self.numbers(self.wait_results(2))), [1, 2])
        self.assertIn("0 redriven", self.dlq("redrive", "--all"))
        time_of_stop = self.stop(self.flow)
        self.assertLess(time_of_stop, 10)
        self.assertEqual(len(self.results()), 2)

    def test_one_that_fails_again_counts_its_journeys(self):
        self.begin([("a", "1", {"bad": 400})])
        for journeys in (1, 2):
            self.dlq("redrive", "--all")
            self.wait(lambda: len(self.dead()) == 1 + journeys, "a dead letter more")
            self.assertEqual(self.entries()["a"]["journeys"], journeys)
        self.assertEqual(self.headers(self.dead()[-1])["ce_id"], "1")

    def test_redriven_while_nobody_is_there(self):
        self.begin([(f"k{n}", str(n), {"bad": 400, "n": n}) for n in range(20)])
        self.stop(self.flow)
        self.is_mended = True
        begin = time.monotonic()
        self.assertIn("20 redriven", self.dlq("redrive", "--handler", "h", "--rate", "10"))
        self.assertGreaterEqual(time.monotonic() - begin, 1.7)  # a tenth of a second at once
        self.start(self.path)
        self.assertEqual(sorted(self.numbers(self.wait_results(20))), list(range(20)))

    def test_to_its_source_all_groups_see_it(self):
        self.begin([("a", "1", {"bad": 400, "n": 1})])
        self.is_mended = True
        self.dlq("redrive", "--all", "--to-source")
        self.assertEqual(self.numbers(self.wait_results(1)), [1])
        things = self.read(self.topic("things"))
        self.assertEqual([self.headers(r)["ce_id"] for r in things], ["1", "1"])
        self.assertNotIn("__dlq.errors.class", self.headers(things[1]))
        self.assertEqual(self.headers(things[1])["__dlq.journeys"], "1")

    def test_discarded_one_is_gone(self):
        self.begin([("a", "1", {"bad": 400}), ("b", "2", {"bad": 422})])
        self.assertIn("1 discarded", self.dlq("discard", "--class", "http-400"))
        self.assertEqual(sorted(self.entries()), ["b"])
        self.is_mended = True
        self.assertIn("1 redriven", self.dlq("redrive", "--all"))
        self.assertEqual(len(self.wait_results(1)), 1)
        self.assertIn("was dealt with already",
                      self.refused("show", self.dlq_topic, self.place_of("a"), code=4))

    def place_of(self, key):
        """PARTITION:OFFSET of the one with the key, dealt with or not."""
        return next(f"{r['partition']}:{r['offset']}" for r in self.dead() if r["key"] == key)

    def test_edited_one_is_another(self):
        self.begin([("a", "1", {"bad": 400, "n": 1})])
        entry = self.entries()["a"]["entry"]
        self.dlq("edit", entry, "--value", "-", stdin='{"n": 7}')
        edited = self.entries()["a"]
        self.assertNotEqual(edited["entry"], entry)
        self.dlq("redrive", edited["entry"])
        self.assertEqual(self.numbers(self.wait_results(1)), [7])
        file = pathlib.Path(self.data) / "value.json"
        file.write_text("{}", encoding="utf-8")
        self.assertIn("was dealt with already", self.refused(
            "edit", self.dlq_topic, entry, "--value", str(file), code=4))

    def test_mistakes_cost_a_sentence(self):
        self.begin([("a", "1", {"bad": 400})])
        topic = self.dlq_topic
        self.assertIn("say which: ENTRY, --handler, --class or --all",
                      self.refused("redrive", topic, code=2))
        self.assertIn("5 is no entry: PARTITION:OFFSET, as 0:42",
                      self.refused("redrive", topic, "5", code=2))
        self.assertIn(f"1 of the named entries are not in {topic}",
                      self.refused("discard", topic, "0:99999", code=4))
        self.assertIn("topic nowhere.dlq: ", self.refused("list", "nowhere.dlq", code=4))
        self.assertIn("--value FILE", self.refused("edit", topic, "0:0", code=2))
        self.assertEqual(len(self.entries()), 1)


if __name__ == "__main__":
    place.main(__name__)
