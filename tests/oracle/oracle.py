"""The oracle: holds histories of clients against what a log promises.

    oracle.py HISTORY.jsonl...        prints what is wrong; exits 1 where there is anything

A history is JSON lines, one file for each process that saw something; each file is in the order in
which its process saw it, which is all that is known of time. A simulator, whose processes share one
clock, writes one file, each line with the "who" of its process. The last line of a process that was
killed may be cut, and then says nothing. What a line says is its "op":

    send        topic value [txn source]            it is about to be produced
    ack         topic partition offset value        its producer was told so
    slow        txn                                 its records were sent, its offsets are late
    end         txn how                             committed, aborted, or unknown to its producer
    read        reader topic partition offset value seen by a reader of committed records
    follow      topic partition offset value        seen by a reader of all records; null: a marker
    assign      topic partition                     its reads begin anew, wherever the group is
    offset      group topic partition offset [since] a group's committed offset was this; it was
                                                    asked for after so many lines of its file
    commit      group topic partition offset        a member's commit was answered so
    send_offset group topic partition offset txn    it is about to be committed in a transaction
    generation  group generation                    a member was in this generation
    owns        group generation member topic partition  it was given the partition then
    marks       topic partition low high            log start and high watermark were these
    stored      pass topic partition offset value   what the log holds; value null: a marker
    final       pass topic partition offset value   what a reader of committed records gets of it

Values are unique over the whole history. "source", a list of topic, partition and offset, is the
record that a consume-process-produce made this one from; it goes to one topic, each source once.

What is checked, in the spirit of Jepsen's Kafka workload: `SAFETY` and `COMPLETENESS` name it.
"""

import collections
import json
import sys

SHOWN_MAX = 20  # violations of one kind that are printed


class History:
    """All that was seen, by kind; files in the order in which they are given."""

    def __init__(self):
        self.ops = collections.defaultdict(list)
        self.shown = collections.defaultdict(list)  # file -> its lines of op read and assign
        self.sent = {}    # value -> its line
        self.fates = {}   # txn -> how it ended
        self.stored = {}  # pass -> (topic, partition) -> {offset: value}
        self.final = {}

    def take(self, lines, name):
        for number, line in enumerate(lines):
            event = json.loads(line)
            event["file"], event["clock"] = event.get("who", name), (name, number)
            self.ops[event["op"]].append(event)
            if event["op"] in ("read", "assign"):
                self.shown[event["file"]].append(event)
            elif event["op"] == "send":
                self.sent[event["value"]] = event
            elif event["op"] == "end":
                self.fates[event["txn"]] = event["how"]
            elif event["op"] in ("stored", "final"):
                passes = getattr(self, event["op"]).setdefault(event["pass"], {})
                log = passes.setdefault(place(event), {})
                log.setdefault(event["offset"], event["value"])

    def last(self, kind):
        passes = getattr(self, kind)
        return passes[max(passes)] if passes else {}

    def txn_of(self, value):
        return self.sent.get(value, {}).get("txn")

    def records(self, kind):
        """(place, offset, value) of each record of the last full read; markers left out."""
        for where, log in sorted(self.last(kind).items()):
            for offset, value in sorted(log.items()):
                if value is not None:
                    yield where, offset, value


def place(event):
    return event["topic"], event["partition"]


def group_place(event):
    return event["group"], event["topic"], event["partition"]


def load(paths):
    history = History()
    for path in paths:
        with open(path, encoding="utf-8") as lines:
            history.take((line for line in lines if line.endswith("\n")), str(path))
    return history


def acknowledged_is_stored(history):
    stored = history.last("stored")
    for ack in history.ops["ack"]:
        found = stored.get(place(ack), {}).get(ack["offset"])
        if found != ack["value"]:
            yield f"acknowledged {ack['value']} at {place(ack)} {ack['offset']}, found {found}"


def offsets_are_contiguous(history):
    for where, log in history.last("stored").items():
        offsets = sorted(log)
        for before, after in zip(offsets, offsets[1:]):
            if after != before + 1:
                yield f"{where}: offset {before} is followed by {after}"


def nothing_is_stored_twice(history):
    seen = {}
    for where, offset, value in history.records("stored"):
        if value in seen:
            yield f"{value} is at {seen[value]} and at {(where, offset)}"
        if value not in history.sent:
            yield f"{value} at {(where, offset)} was never sent"
        seen[value] = (where, offset)


def aborted_is_hidden(history):
    shown = [(event["value"], event["file"]) for event in history.ops["read"]]
    shown += [(value, "final") for _, _, value in history.records("final")]
    for value, who in shown:
        txn = history.txn_of(value)
        if txn and history.fates.get(txn) == "aborted":
            yield f"{value} of the aborted {txn} was shown to {who}"


def transactions_are_whole(history):
    """All of a transaction is shown or none of it; all of a committed one."""
    members = collections.defaultdict(set)
    for value, event in history.sent.items():
        if event.get("txn"):
            members[event["txn"]].add(value)
    shown = {value for _, _, value in history.records("final")}
    for txn, values in members.items():
        seen = values & shown
        if seen and seen != values:
            yield f"{txn}: {len(seen)} of {len(values)} records are shown"
        if not seen and history.fates.get(txn) == "committed":
            yield f"{txn} was committed and nothing of it is shown"


def sources_are_used_once(history):
    """Each record of a source topic is in each topic made from it, exactly once."""
    made = collections.defaultdict(collections.Counter)
    pairs = set()
    for event in history.sent.values():
        if event.get("source"):
            pairs.add((event["topic"], event["source"][0]))
    for (topic, _), _, value in history.records("final"):
        source = history.sent.get(value, {}).get("source")
        if source:
            made[topic][tuple(source)] += 1
    for topic, source in sorted(pairs):
        wanted = {(*where, offset) for where, offset, _ in history.records("final")
                  if where[0] == source}
        for record in sorted(wanted | set(made[topic])):
            count = made[topic][record]
            if count != (record in wanted):
                yield f"{record} is {count} times in {topic}"


def readers_see_the_log(history):
    """What a reader was shown stays where it was, and no reader missed a record."""
    final = history.last("final")
    seen = collections.defaultdict(set)
    for event in history.ops["read"]:
        found = final.get(place(event), {}).get(event["offset"])
        if found != event["value"]:
            yield f"{event['reader']} read {event['value']} at {place(event)} " \
                  f"{event['offset']}, where now is {found}"
        seen[event["reader"], event["topic"]].add((event["partition"], event["offset"]))
    for (reader, topic), records in seen.items():
        for where, offset, _ in history.records("final"):
            if where[0] == topic and (where[1], offset) not in records:
                yield f"{reader} never read {where} {offset}"


def followers_see_each_record(history):
    """Who reads all records is shown each once, in order, as it stays."""
    stored = history.last("stored")
    last = {}
    for event in history.ops["follow"]:
        who = event["file"], place(event)
        found = stored.get(place(event), {}).get(event["offset"])
        if found != event["value"]:
            yield f"{who} was shown {event['value']} at {event['offset']}, where now is {found}"
        if event["offset"] != last.get(who, -1) + 1:
            yield f"{who}: after {last.get(who)} came {event['offset']}"
        last[who] = event["offset"]
    for (name, where), offset in last.items():
        if offset != max(stored.get(where, {-1: None})):
            yield f"{name} was shown {where} as far as {offset}"


def sends_keep_their_order(history):
    """What a process sent to a partition is there in the order in which it was sent."""
    turns = {event["value"]: turn for turn, event in enumerate(history.ops["send"])}
    last = {}
    for where, offset, value in history.records("stored"):
        event = history.sent.get(value)
        if event is None:
            continue
        key = event["file"], where
        before = last.get(key, value)
        if turns[before] > turns[value]:
            yield f"{value} at {(where, offset)} was sent before {before}, and stands behind it"
        last[key] = value


def polls_leave_nothing_out(history):
    """From one assignment to the next, a process is shown a partition's committed records each
    once, in order: its polls neither go back nor skip any."""
    after = {}
    for where, log in history.last("final").items():
        offsets = sorted(log)
        after[where] = dict(zip(offsets, offsets[1:]))
    for name, lines in history.shown.items():
        last = {}
        for event in lines:
            where = place(event)
            if event["op"] == "assign":
                last.pop(where, None)
                continue
            before = last.get(where)
            wanted = after.get(where, {}).get(before)
            if before is not None and event["offset"] != wanted:
                yield f"{name}: after {where} {before} came {event['offset']}, not {wanted}"
            last[where] = event["offset"]


def never_back(history, op, key, number):
    last = {}
    for event in history.ops[op]:
        who = tuple(event[k] for k in key)
        if event[number] < last.get(who, event[number]):
            yield f"{who}: {number} went from {last[who]} back to {event[number]}"
        last[who] = event[number]


def nothing_goes_back(history):
    yield from never_back(history, "offset", ("group", "topic", "partition"), "offset")
    yield from never_back(history, "generation", ("file", "group"), "generation")
    yield from never_back(history, "marks", ("topic", "partition"), "low")
    yield from never_back(history, "marks", ("topic", "partition"), "high")


def aborted_offsets_are_hidden(history):
    """No group was shown at an offset that only an aborted transaction has committed."""
    sent = collections.defaultdict(set)
    for event in history.ops["send_offset"]:
        sent[group_place(event), event["offset"]].add(history.fates.get(event["txn"]))
    for event in history.ops["offset"]:
        if sent.get((group_place(event), event["offset"])) == {"aborted"}:
            yield f"{group_place(event)} was shown at {event['offset']}, which was aborted"


def commits_stay(history):
    """In the end each group is where its answered commits have brought it, or further."""
    last = {group_place(event): event["offset"] for event in history.ops["offset"]}
    answered = list(history.ops["commit"])
    answered += [event for event in history.ops["send_offset"]
                 if history.fates.get(event["txn"]) == "committed"]
    for event in answered:
        if last.get(group_place(event), -1) < event["offset"]:
            yield f"{group_place(event)} had committed {event['offset']}, and is at " \
                  f"{last.get(group_place(event))}"


def answered_commits_are_shown(history):
    """Who asks after a commit was answered, by a clock that both share, is shown it or a later."""
    answered = collections.defaultdict(list)
    for event in history.ops["commit"]:
        answered[event["clock"][0], group_place(event)].append(event)
    for event in history.ops["offset"]:
        for commit in answered[event["clock"][0], group_place(event)]:
            is_before = commit["clock"][1] < event.get("since", 0)
            if is_before and commit["offset"] > event["offset"]:
                yield f"{group_place(event)} had committed {commit['offset']}, and was shown at " \
                      f"{event['offset']}"


def partitions_have_one_owner(history):
    """Of a group's generation, each partition belongs to one member."""
    owners = {}
    for event in history.ops["owns"]:
        where = (*group_place(event), event["generation"])
        if owners.setdefault(where, event["member"]) != event["member"]:
            yield f"{where} belongs to {owners[where]} and to {event['member']}"


def reads_are_equal(history):
    for kind in ("stored", "final"):
        passes = getattr(history, kind)
        for number in sorted(passes)[1:]:
            if passes[number] != passes[min(passes)]:
                yield f"{kind}: read {number} is not as read {min(passes)}"


def something_happened(history):
    """A run that did nothing proves nothing."""
    fates = collections.Counter(history.fates.values())
    for op in ("ack", "read", "offset", "generation", "marks", "stored", "final"):
        if not history.ops[op]:
            yield f"no '{op}' in the history"
    for how in ("committed", "aborted"):
        if not fates[how]:
            yield f"no transaction was {how}"


SAFETY = (
    acknowledged_is_stored,
    offsets_are_contiguous,
    nothing_is_stored_twice,
    sends_keep_their_order,
    aborted_is_hidden,
    aborted_offsets_are_hidden,
    answered_commits_are_shown,
    partitions_have_one_owner,
    nothing_goes_back,
)
# What holds only once all clients have finished what they were at.
COMPLETENESS = (
    transactions_are_whole,
    sources_are_used_once,
    readers_see_the_log,
    followers_see_each_record,
    commits_stay,
    polls_leave_nothing_out,
    reads_are_equal,
    something_happened,
)


def judge(history, checks=SAFETY + COMPLETENESS):
    """{name of a check: what it found wrong} of the checks that failed."""
    found = {check.__name__: list(check(history)) for check in checks}
    return {name: lines for name, lines in found.items() if lines}


def describe(failures):
    for name, lines in failures.items():
        yield f"{name}: {len(lines)}"
        yield from ("    " + line for line in lines[:SHOWN_MAX])


def summary(history):
    fates = collections.Counter(history.fates.values())
    acks, reads = len(history.ops["ack"]), len(history.ops["read"])
    return (f"{acks} acknowledged, {reads} read, transactions: "
            + (", ".join(f"{count} {how}" for how, count in sorted(fates.items())) or "none"))


def main():
    history = load(sys.argv[1:])
    failures = judge(history)
    for line in describe(failures):
        print(line)
    print(summary(history))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
