"""Checks of transactions: all of one is seen or nothing, and only its last producer may write."""

import re

import checks_tools
import driver
import process
import raw
from checks import Failure, expect, expect_that

PARTITIONS = 3
TIMEOUT_MS = 60_000
SHORT_MS = 1500  # a transaction that is meant to run out of time
SETTLE_S = 30
# What a producer that lost its transaction is told: fenced (90, for which sarama has no word), an
# old epoch, or an end that the transaction's state does not allow.
TOLD = re.compile(r"fenc|epoch|error code = 90|invalid.*state", re.IGNORECASE)
BEGIN, COMMIT, ABORT, CLOSE = ({"do": name} for name in ("begin", "commit", "abort", "close"))


def produce(topic, values):
    """A step that writes {partition: [value, ...]} and waits for the acks."""
    records = [{"partition": p, "key": b"k", "value": value.encode()}
               for p, each in values.items() for value in each]
    return {"do": "produce", "topic": topic, "records": list(map(driver.encode_record, records))}


class Producer:
    """A transactional producer of a driver, which keeps it by name until its `close`."""

    def __init__(self, at, name, transactional_id, timeout_ms=TIMEOUT_MS):
        self.at = at
        self.about = {"producer": name, "id": transactional_id, "timeout_ms": timeout_ms}

    def run(self, *steps):
        self.at.call("transact", **self.about, steps=list(steps))

    def expect_fenced(self, *steps):
        try:
            self.run(*steps)
        except driver.DriverError as told:
            expect_that("the fenced producer's error", TOLD.search(str(told)), str(told))
            return
        raise Failure("the fenced producer was not told")


def values_of(records):
    """Values by partition, in the order of their offsets."""
    found = {}
    for record in records:
        found.setdefault(record["partition"], []).append(record["value"].decode())
    return found


def expect_read(ctx, topic, isolation, wanted):
    """A reader of as many records as there should be reads these, so one too many shows."""
    count = sum(map(len, wanted.values()))
    got = ctx.driver.consume(topic, count, isolation=isolation)
    expect(f"values that {isolation} reads", wanted, values_of(got))


def committed(ctx):
    """Committed and aborted transactions in turn, over several partitions and their parts."""
    topic = ctx.topic("txn", PARTITIONS)
    plan = [("a", (0, 1, 2), COMMIT), ("b", (0, 1, 2), ABORT), ("c", (0, 1), COMMIT),
            ("d", (2,), ABORT), ("e", (0, 2), ABORT), ("f", (0, 1, 2), COMMIT)]
    producer = Producer(ctx.writer("transactions"), "p", ctx.name("txn-id"))
    seen = {"read_committed": {}, "read_uncommitted": {}}
    for name, partitions, end in plan:
        values = {p: [f"{name}-{p}-{i}" for i in range(2)] for p in partitions}
        producer.run(BEGIN, produce(topic, values), end)
        for isolation in ["read_uncommitted"] + ["read_committed"] * (end is COMMIT):
            for p in partitions:
                seen[isolation].setdefault(p, []).extend(values[p])
    producer.run(CLOSE)
    for isolation, wanted in seen.items():
        expect_read(ctx, topic, isolation, wanted)


def offsets(ctx):
    """Consume, process, produce: an abort leaves the group where it was, a commit moves it."""
    source, target, group = ctx.topic("txn-from"), ctx.topic("txn-to"), ctx.name("txn-group")
    values = [f"value-{i}" for i in range(10)]
    ctx.driver.produce(source, [{"key": b"k", "value": v.encode()} for v in values])
    for count, end, offset in ((4, "abort", -1), (4, "commit", 4), (3, "abort", 4),
                               (6, "commit", 10)):
        ctx.driver.call("process", **{"from": source}, to=target, group=group, count=count,
                        id=f"{group}.id", end=end)
        # The marker follows the client's answer, so a commit may show a little later. An abort that
        # counts shows in the next turn, which would begin too late.
        process.poll_until(lambda wanted={0: offset}: ctx.raw.committed(group, source, 1) == wanted,
                           SETTLE_S, f"the group's offset is {offset} after {end} of {count}")
    expect_read(ctx, target, "read_committed", {0: values})
    expect_read(ctx, target, "read_uncommitted",
                {0: values[:4] + values[:4] + values[4:7] + values[4:]})


def wait_over(ctx, name):
    """Until the id's last transaction is over: before, whoever asks is told to come again, which
    not every client does by itself."""
    process.poll_until(lambda: ctx.raw.transaction_state(name).startswith("Complete"), SETTLE_S,
                       "the transaction is over")


def fenced(ctx):
    """A second producer of the same id aborts what the first left open, and fences it."""
    topic, name = ctx.topic("txn-fenced"), ctx.name("txn-id")
    first, second = Producer(ctx.driver, "first", name), Producer(ctx.driver, "second", name)
    first.run(BEGIN, produce(topic, {0: ["lost-1", "lost-2"]}))
    second.run(BEGIN, produce(topic, {0: ["kept-1"]}), COMMIT)
    wait_over(ctx, name)
    first.expect_fenced(COMMIT)
    first.run(CLOSE)
    second.run(BEGIN, produce(topic, {0: ["kept-2"]}), COMMIT, CLOSE)
    expect_read(ctx, topic, "read_committed", {0: ["kept-1", "kept-2"]})
    expect_read(ctx, topic, "read_uncommitted", {0: ["lost-1", "lost-2", "kept-1", "kept-2"]})


def timeout(ctx):
    """A transaction that is open for too long is aborted, and its producer told at its end."""
    topic, name = ctx.topic("txn-timeout"), ctx.name("txn-id")
    late = Producer(ctx.driver, "late", name, SHORT_MS)
    late.run(BEGIN, produce(topic, {0: ["lost"]}))
    expect("the stable offset meanwhile", 0, ctx.raw.stable_offset(topic, 0))
    process.poll_until(lambda: ctx.raw.stable_offset(topic, 0) == 2, SETTLE_S,
                       "the transaction is aborted when its time is over")
    expect("offsets with the abort's marker", 2, ctx.raw.list_offset(topic, 0, raw.LATEST))
    wait_over(ctx, name)
    late.expect_fenced(COMMIT)
    late.run(CLOSE)
    again = Producer(ctx.driver, "again", name)
    again.run(BEGIN, produce(topic, {0: ["kept"]}), COMMIT, CLOSE)
    expect_read(ctx, topic, "read_committed", {0: ["kept"]})


def tool(ctx):
    """kafka-transactions sees an open transaction, does not take it for hanging, and aborts it."""
    topic, name = ctx.topic("txn-tool"), ctx.name("txn-id")
    producer = Producer(ctx.reference, "p", name)
    producer.run(BEGIN, produce(topic, {0: ["kept"]}), COMMIT,
                 BEGIN, produce(topic, {0: ["lost-1", "lost-2"]}))
    at = ("--topic", topic, "--partition", "0")
    out = tool_run(ctx, "list")
    producer_id = checks_tools.found("the list", rf"^{re.escape(name)}\s+\d+\s+(\d+)\s+Ongoing",
                                     out)[1]
    out = tool_run(ctx, "describe", "--transactional-id", name)
    checks_tools.found("the description",
                       rf"{re.escape(name)}\s+{producer_id}\s+\d+\s+Ongoing\s+{TIMEOUT_MS}\s.*"
                       rf"\s{re.escape(topic)}-0\s*$", out)
    out = tool_run(ctx, "describe-producers", *at)
    checks_tools.found("the producer, its transaction from offset 2",
                       rf"^{producer_id}\s+\d+\s+-?\d+\s+\d+\s+\d+\s+2\s*$", out)
    out = tool_run(ctx, "find-hanging", *at)
    expect("lines about hanging transactions, below the head", 1, len(out.strip().splitlines()))
    tool_run(ctx, "abort", *at, "--start-offset", "2")
    expect("the stable offset after the abort", 5, ctx.raw.stable_offset(topic, 0))
    producer.run(CLOSE)
    expect_read(ctx, topic, "read_committed", {0: ["kept"]})


def tool_run(ctx, *args):
    return checks_tools.run(ctx, "TransactionsCommand", *args)
