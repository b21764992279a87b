"""Computes from the inputs what must have come out, and holds it against what did.

Only exactly once gives these results: each input counted once, whatever died in between. Every
check yields lines that say what is wrong.
"""

import collections
import json
import struct

import inputs

WINDOW_MS = 1000
NEAR_MS = 100
SHOWN_MAX = 20
OUTPUTS = ("word-counts", "window-sums", "named-orders", "seen-clicks")
CHANGELOGS = ("counts", "sums", "customers", "seen-this-join-store", "seen-other-join-store")
TIME_SIZE, NUMBER_SIZE = 8, 4  # behind the key of a window's record in a changelog


def changelog(store):
    return f"loop-{store}-changelog"


class Outcome:
    """The inputs of a run, and all records of its topics as readers of committed records get
    them."""

    def __init__(self, events, base):
        self.base = base
        self.events = collections.defaultdict(list)
        self.records = collections.defaultdict(list)
        for event in events:
            self.events[event.topic].append(event)

    def take(self, lines):
        """Lines of dump.py; those of one partition are in their order."""
        for line in lines:
            topic, _, key, value = json.loads(line)
            self.records[topic].append((key, value))

    def by_key(self, topic):
        """{key: its values in order}; a key is always in one partition."""
        found = collections.defaultdict(list)
        for key, value in self.records[topic]:
            found[key].append(value)
        return found

    def replay(self, store):
        """{key: last value} of a store's changelog, as a restore would have it."""
        state = dict(self.records[changelog(store)])
        return {key: value for key, value in state.items() if value is not None}


def differ(what, wanted, found):
    """What two dictionaries do not agree on."""
    for key in sorted(wanted.keys() | found.keys(), key=str):
        if wanted.get(key) != found.get(key):
            yield f"{what} {key!r} must be {wanted.get(key)!r}, is {found.get(key)!r}"


def count_all(outcome, topic):
    return collections.Counter(outcome.records[topic])


def word_counts(outcome):
    return collections.Counter(
        word for event in outcome.events["lines"] for word in event.value.split())


def window_totals(outcome):
    """{(key, start): [readings in order of their times]}"""
    windows = collections.defaultdict(list)
    for event in outcome.events["readings"]:
        time = outcome.base + event.time
        windows[event.key, time - time % WINDOW_MS].append(int(event.value))
    return windows


def inputs_are_as_sent(outcome):
    """Or what came out cannot be right."""
    for topic in inputs.TOPICS:
        wanted = collections.Counter((event.key, event.value) for event in outcome.events[topic])
        yield from differ(topic, wanted, count_all(outcome, topic))


def words_are_counted_once(outcome):
    """A word that came n times has the counts 1, 2, ... n: no step twice, none left out."""
    wanted = {word: [str(step + 1) for step in range(count)]
              for word, count in word_counts(outcome).items()}
    yield from differ("word-counts", wanted, outcome.by_key("word-counts"))


def windows_are_summed_once(outcome):
    """The totals of a window count 1, 2, ... n and end in the sum of its readings."""
    wanted = {f"{key}@{start}": [len(readings), sum(readings), len(readings)]
              for (key, start), readings in window_totals(outcome).items()}
    found = {}
    for window, totals in outcome.by_key("window-sums").items():
        steps = [int(total.split()[0]) for total in totals]
        in_order = steps == [step + 1 for step in range(len(steps))]
        found[window] = [*map(int, totals[-1].split()), len(totals) if in_order else steps]
    yield from differ("window-sums", wanted, found)


def orders_are_joined_once(outcome):
    wanted = collections.Counter()
    for event in outcome.events["orders"]:
        customer = event.value.split()[0]
        wanted[customer, f"{event.value} {customer.replace('customer', 'name')}"] += 1
    yield from differ("named-orders", wanted, count_all(outcome, "named-orders"))


def near_pairs(outcome):
    """(key, click and view) of all that are near in time, in any order."""
    views = collections.defaultdict(list)
    for event in outcome.events["views"]:
        views[event.key, event.time // NEAR_MS].append(event)
    for click in outcome.events["clicks"]:
        key = click.value.split()[0]
        for place in range(-1, 2):
            for view in views[key, click.time // NEAR_MS + place]:
                if abs(view.time - click.time) <= NEAR_MS:
                    yield key, f"{click.value} {view.value}"


def clicks_are_joined_once(outcome):
    wanted = collections.Counter(near_pairs(outcome))
    yield from differ("seen-clicks", wanted, count_all(outcome, "seen-clicks"))


def split_window_key(key):
    """(key, time) of a window store's key; a number that tells equal ones apart is left out."""
    data = key.encode("latin-1")
    (time,) = struct.unpack_from(">q", data, len(data) - NUMBER_SIZE - TIME_SIZE)
    return data[:-NUMBER_SIZE - TIME_SIZE].decode(), time


def counts_replay(outcome):
    """The changelog of the counts, replayed, is what was last put out."""
    state = {word: str(struct.unpack(">q", value.encode("latin-1"))[0])
             for word, value in outcome.replay("counts").items()}
    last = {word: values[-1] for word, values in outcome.by_key("word-counts").items()}
    yield from differ("changelog of counts", last, state)


def sums_replay(outcome):
    state = {}
    for key, total in outcome.replay("sums").items():
        sensor, start = split_window_key(key)
        state[f"{sensor}@{start}"] = total
    last = {window: totals[-1] for window, totals in outcome.by_key("window-sums").items()}
    yield from differ("changelog of sums", last, state)


def customers_replay(outcome):
    last = dict(outcome.records["customers"])
    yield from differ("changelog of customers", last, outcome.replay("customers"))


def joined_streams_replay(outcome):
    """The stores of a join hold each click and each view once."""
    for store, topic in (("seen-this-join-store", "clicks"), ("seen-other-join-store", "views")):
        wanted = collections.Counter(
            (event.key or event.value.split()[0], outcome.base + event.time, event.value)
            for event in outcome.events[topic])
        found = collections.Counter(
            (*split_window_key(key), value) for key, value in outcome.replay(store).items())
        yield from differ(store, wanted, found)


CHECKS = (
    inputs_are_as_sent,
    words_are_counted_once,
    windows_are_summed_once,
    orders_are_joined_once,
    clicks_are_joined_once,
    counts_replay,
    sums_replay,
    customers_replay,
    joined_streams_replay,
)


def judge(outcome):
    """{name of a check: what it found wrong} of the checks that failed."""
    found = {check.__name__: list(check(outcome)) for check in CHECKS}
    return {name: lines for name, lines in found.items() if lines}


def summary(outcome):
    return ", ".join(f"{len(outcome.records[topic])} {topic}" for topic in OUTPUTS)
