#!/usr/bin/env python3
"""Shows that each check of judge.py bites: what a right application puts out, and one record more,
less or different for every promise."""

import json
import struct
import sys
import unittest

import inputs
import judge

SEED, COUNT, BASE = 1, 600, 1_800_000_000_000
THIS, OTHER = "seen-this-join-store", "seen-other-join-store"


def events():
    return [*inputs.customers(), *(inputs.event(SEED, n) for n in range(1, COUNT + 1))]


def windowed(key, time, number=0):
    return key + struct.pack(">qi", time, number).decode("latin-1")


class Application:
    """Works as Topologies.java says, one event after the other, and never dies."""

    def __init__(self):
        self.written = []
        self.state = {}
        self.sides = {THIS: [], OTHER: []}

    def put(self, topic, key, value):
        self.written.append([topic, 0, key, value])

    def keep(self, store, key, value):
        self.put(judge.changelog(store), key, value)

    def work(self, event):
        self.put(event.topic, event.key, event.value)
        getattr(self, event.topic)(event)

    def lines(self, event):
        for word in event.value.split():
            count = self.state[word] = self.state.get(word, 0) + 1
            self.keep("counts", word, struct.pack(">q", count).decode("latin-1"))
            self.put("word-counts", word, str(count))

    def readings(self, event):
        time = BASE + event.time
        window = event.key, time - time % judge.WINDOW_MS
        count, total = self.state.get(window, (0, 0))
        count, total = self.state[window] = count + 1, total + int(event.value)
        self.keep("sums", windowed(*window), f"{count} {total}")
        self.put("window-sums", f"{window[0]}@{window[1]}", f"{count} {total}")

    def customers(self, event):
        self.state[event.key] = event.value
        self.keep("customers", event.key, event.value)

    def orders(self, event):
        customer = event.value.split()[0]
        name = self.state[customer].split()[0]
        self.put("named-orders", customer, f"{event.value} {name}")

    def meet(self, event, key, mine, others):
        self.keep(mine, windowed(key, BASE + event.time), event.value)
        self.sides[mine].append((key, event))
        return [other for k, other in self.sides[others]
                if k == key and abs(other.time - event.time) <= judge.NEAR_MS]

    def clicks(self, event):
        key = event.value.split()[0]
        for view in self.meet(event, key, THIS, OTHER):
            self.put("seen-clicks", key, f"{event.value} {view.value}")

    def views(self, event):
        for click in self.meet(event, event.key, OTHER, THIS):
            self.put("seen-clicks", event.key, f"{click.value} {event.value}")


def right_lines():
    application = Application()
    for event in events():
        application.work(event)
    return application.written


class JudgeTest(unittest.TestCase):
    def setUp(self):
        self.lines = right_lines()

    def judge(self, lines):
        outcome = judge.Outcome(events(), BASE)
        outcome.take(json.dumps(line) for line in lines)
        return set(judge.judge(outcome))

    def last(self, topic):
        """The index of the last line of a topic."""
        return max(at for at, line in enumerate(self.lines) if line[0] == topic)

    def without_last(self, topic):
        at = self.last(topic)
        return self.lines[:at] + self.lines[at + 1:]

    def last_twice(self, topic):
        return self.lines + [self.lines[self.last(topic)]]

    def test_right_outcome_passes(self):
        self.assertEqual(self.judge(self.lines), set())

    def test_event_times_are_unique(self):
        times = {inputs.time_of(number) for number in range(COUNT)}
        self.assertEqual(len(times), COUNT)

    def test_input_lost_or_doubled(self):
        for topic in ("lines", "readings", "orders", "clicks", "views"):
            with self.subTest(topic=topic):
                self.assertEqual(self.judge(self.without_last(topic)), {"inputs_are_as_sent"})
                self.assertEqual(self.judge(self.last_twice(topic)), {"inputs_are_as_sent"})

    def test_step_put_out_twice_or_left_out(self):
        for topic, check in (("named-orders", "orders_are_joined_once"),
                             ("seen-clicks", "clicks_are_joined_once"),
                             ("word-counts", "words_are_counted_once"),
                             ("window-sums", "windows_are_summed_once")):
            with self.subTest(topic=topic):
                self.assertIn(check, self.judge(self.without_last(topic)))
                self.assertEqual(self.judge(self.last_twice(topic)), {check})

    def test_word_counted_twice(self):
        at = self.last("word-counts")
        key, count = self.lines[at][2], int(self.lines[at][3]) + 1
        more = [["word-counts", 0, key, str(count)],
                [judge.changelog("counts"), 0, key, struct.pack(">q", count).decode("latin-1")]]
        self.assertEqual(self.judge(self.lines + more), {"words_are_counted_once"})

    def test_window_counted_twice(self):
        at = self.last("window-sums")
        _, _, window, total = self.lines[at]
        count, total = (int(part) for part in total.split())
        key, start = window.split("@")
        twice = f"{count + 1} {total + 1}"
        more = [["window-sums", 0, window, twice],
                [judge.changelog("sums"), 0, windowed(key, int(start)), twice]]
        self.assertEqual(self.judge(self.lines + more), {"windows_are_summed_once"})

    def test_wrong_sum_in_the_right_steps(self):
        at = self.last("window-sums")
        self.lines[at][3] = self.lines[at][3].split()[0] + " 1"
        self.assertIn("windows_are_summed_once", self.judge(self.lines))

    def test_changelog_left_behind(self):
        for store, check in (("counts", "counts_replay"), ("sums", "sums_replay"),
                             ("customers", "customers_replay"), (THIS, "joined_streams_replay"),
                             (OTHER, "joined_streams_replay")):
            with self.subTest(store=store):
                self.assertEqual(self.judge(self.without_last(judge.changelog(store))), {check})

    def test_store_of_a_join_holds_one_twice(self):
        at = self.last(judge.changelog(THIS))
        topic, _, key, value = self.lines[at]
        click, time = judge.split_window_key(key)
        more = [[topic, 0, windowed(click, time, 1), value]]
        self.assertEqual(self.judge(self.lines + more), {"joined_streams_replay"})


if __name__ == "__main__":
    sys.exit(unittest.main())
