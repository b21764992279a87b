#!/usr/bin/env python3
"""Shows that each check of oracle.py bites: a history that is right, and one line less, more or
different for every promise."""

import json
import pathlib
import sys
import tempfile
import unittest

import oracle

TXN = {"topic": "out", "txn": "t1"}


def send(value, **more):
    return {"op": "send", "topic": "in", "value": value, **more}


def seen(op, offset, value, topic="in", **more):
    return {"op": op, "topic": topic, "partition": 0, "offset": offset, "value": value, **more}


def history():
    """Two records, copied by one transaction after another one was aborted."""
    lines = [send("a"), send("b"), seen("ack", 0, "a"), seen("ack", 1, "b"),
             send("t2/0", topic="out", txn="t2", source=["in", 0, 0]),
             {"op": "end", "txn": "t2", "how": "aborted"},
             send("t1/0", **TXN, source=["in", 0, 0]), send("t1/1", **TXN, source=["in", 0, 1]),
             {"op": "end", "txn": "t1", "how": "committed"}]
    shown = [("in", 0, "a"), ("in", 1, "b"), ("out", 2, "t1/0"), ("out", 3, "t1/1")]
    hidden = [("out", 0, "t2/0"), ("out", 1, None), ("out", 4, None)]
    lines += [{"op": "assign", "topic": topic, "partition": 0} for topic in ("in", "out")]
    for topic, offset, value in shown:
        lines.append(seen("read", offset, value, topic, reader="r"))
    for number in (1, 2):
        for topic, offset, value in shown:
            lines.append(seen("final", offset, value, topic, **{"pass": number}))
        for topic, offset, value in shown + hidden:
            lines.append(seen("stored", offset, value, topic, **{"pass": number}))
    for number in (1, 2):
        lines += [{"op": "offset", "group": "g", "topic": "in", "partition": 0, "offset": number},
                  {"op": "generation", "group": "g", "generation": number},
                  {"op": "marks", "topic": "in", "partition": 0, "low": 0, "high": number}]
    return lines


def is_like(line, pattern):
    return all(line.get(key) == value for key, value in pattern.items())


class OracleTest(unittest.TestCase):
    def judge(self, lines):
        taken = oracle.History()
        taken.take([json.dumps(line) for line in lines], "test")
        return set(oracle.judge(taken))

    def without(self, **pattern):
        return [line for line in history() if not is_like(line, pattern)]

    def test_right_history_passes(self):
        self.assertEqual(self.judge(history()), set())

    def test_lost_acknowledged_record(self):
        found = self.judge(self.without(op="stored", value="b"))
        self.assertIn("acknowledged_is_stored", found)

    def test_acknowledged_record_at_another_offset(self):
        found = self.judge(history() + [seen("ack", 1, "a")])
        self.assertEqual(found, {"acknowledged_is_stored"})

    def test_gap(self):
        found = self.judge(self.without(op="stored", topic="out", offset=1))
        self.assertEqual(found, {"offsets_are_contiguous"})

    def test_duplicate(self):
        more = [seen("stored", 2, "b", **{"pass": number}) for number in (1, 2)]
        self.assertEqual(self.judge(history() + more), {"nothing_is_stored_twice"})

    def test_record_from_nowhere(self):
        more = [seen("stored", 2, "c", **{"pass": number}) for number in (1, 2)]
        self.assertEqual(self.judge(history() + more), {"nothing_is_stored_twice"})

    def test_aborted_shown_to_a_reader(self):
        found = self.judge(history() + [seen("read", 0, "t2/0", "out", reader="r")])
        self.assertIn("aborted_is_hidden", found)

    def followed(self, *shown):
        more = [seen("follow", offset, value) for offset, value in shown]
        return self.judge(history() + more)

    def test_follower_is_shown_each_record_once(self):
        self.assertEqual(self.followed((0, "a"), (1, "b")), set())
        for wrong in ([(0, "a")], [(1, "b")], [(0, "a"), (0, "a"), (1, "b")],
                      [(0, "a"), (1, "c")]):
            self.assertEqual(self.followed(*wrong), {"followers_see_each_record"})

    def test_half_a_transaction(self):
        found = self.judge(self.without(op="final", value="t1/1"))
        self.assertIn("transactions_are_whole", found)

    def test_lost_transaction(self):
        lines = [line for line in history()
                 if line["op"] != "final" or line["topic"] != "out"]
        self.assertIn("transactions_are_whole", self.judge(lines))

    def test_source_used_twice(self):
        more = [send("t3/0", topic="out", txn="t3", source=["in", 0, 0])]
        for op in ("final", "stored"):
            more += [seen(op, 5, "t3/0", "out", **{"pass": number}) for number in (1, 2)]
        self.assertIn("sources_are_used_once", self.judge(history() + more))

    def test_source_left_out(self):
        more = [send("c")]
        for op in ("final", "stored"):
            more += [seen(op, 2, "c", **{"pass": number}) for number in (1, 2)]
        self.assertIn("sources_are_used_once", self.judge(history() + more))

    def test_offset_of_an_aborted_transaction_is_shown(self):
        place = {"group": "h", "topic": "in", "partition": 0}
        more = [{"op": "send_offset", **place, "offset": 7, "txn": "t2"},
                {"op": "offset", **place, "offset": 7}]
        self.assertEqual(self.judge(history() + more), {"aborted_offsets_are_hidden"})

    def test_answered_commit_is_not_shown(self):
        place = {"group": "h", "topic": "in", "partition": 0}
        lines = history()
        more = [{"op": "offset", **place, "offset": 6, "since": len(lines)},
                {"op": "commit", **place, "offset": 7},
                {"op": "offset", **place, "offset": 6, "since": len(lines)},
                {"op": "offset", **place, "offset": 7, "since": len(lines) + 3}]
        self.assertEqual(self.judge(lines + more), set())
        more[2]["since"] = len(lines) + 2
        self.assertEqual(self.judge(lines + more), {"answered_commits_are_shown"})

    def test_partition_with_two_owners(self):
        owns = {"op": "owns", "group": "g", "topic": "in", "partition": 0, "generation": 1}
        more = [{**owns, "member": "m"}, {**owns, "generation": 2, "member": "n"}]
        self.assertEqual(self.judge(history() + more), set())
        more[1]["generation"] = 1
        self.assertEqual(self.judge(history() + more), {"partitions_have_one_owner"})

    def test_answered_commit_is_lost(self):
        more = [{"op": "commit", "group": "g", "topic": "in", "partition": 0, "offset": 3}]
        self.assertEqual(self.judge(history() + more), {"commits_stay"})

    def test_offset_of_a_committed_transaction_is_lost(self):
        more = [{"op": "send_offset", "group": "g", "topic": "in", "partition": 0, "offset": 3,
                 "txn": "t1"}]
        self.assertEqual(self.judge(history() + more), {"commits_stay"})

    def test_reader_missed_a_record(self):
        found = self.judge(self.without(op="read", value="a"))
        self.assertEqual(found, {"readers_see_the_log"})

    def test_what_was_read_is_gone(self):
        found = self.judge(history() + [seen("read", 2, "c", reader="r")])
        self.assertEqual(found, {"readers_see_the_log", "polls_leave_nothing_out"})

    def test_sends_out_of_order(self):
        lines = history()
        self.assertEqual(self.judge([send("b"), *self.without(op="send", value="b")]),
                         {"sends_keep_their_order"})
        self.assertEqual(self.judge([send("c"), *lines]), set())

    def test_polls_that_skip_or_go_back(self):
        lines = history()
        again = seen("read", 0, "a", reader="r")
        self.assertEqual(self.judge(lines + [again]), {"polls_leave_nothing_out"})
        assign = {"op": "assign", "topic": "in", "partition": 0}
        self.assertEqual(self.judge(lines + [assign, again]), set())
        later = seen("read", 3, "c", reader="r")
        more = [send("c"), send("d"), later]
        for op in ("final", "stored"):
            for number in (1, 2):
                more += [seen(op, 2, "d", **{"pass": number}), seen(op, 3, "c", **{"pass": number})]
        self.assertIn("polls_leave_nothing_out", self.judge(lines + more))

    def test_cut_last_line(self):
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "history.jsonl"
            text = "".join(json.dumps(line) + "\n" for line in history())
            path.write_text(text + '{"op": "send", "val')
            self.assertEqual(oracle.judge(oracle.load([path])), {})

    def test_numbers_that_go_back(self):
        for op, number in (("offset", "offset"), ("generation", "generation"), ("marks", "high")):
            lines = history()
            old = next(line for line in lines if line["op"] == op)
            with self.subTest(op=op):
                self.assertEqual(self.judge(lines + [{**old, number: 0}]), {"nothing_goes_back"})

    def test_second_read_differs(self):
        lines = [line for line in history()
                 if not is_like(line, {"op": "stored", "pass": 1, "topic": "out", "offset": 4})]
        self.assertEqual(self.judge(lines), {"reads_are_equal"})

    def test_nothing_happened(self):
        self.assertEqual(self.judge([]), {"something_happened"})


if __name__ == "__main__":
    sys.exit(unittest.main())
