"""Checks of topic administration, each confirmed by the raw reader."""

import re

import driver
import process
from checks import Failure, expect, expect_that

SETTLE_S = 20
EXISTS = re.compile(r"exist", re.IGNORECASE)


def metadata(ctx):
    """Topics are listed, with the partitions they have."""
    topic = ctx.topic("metadata", 3)
    listed = ctx.driver.call("list-topics")["topics"]
    expect_that(f"the list of topics holds {topic}", topic in listed, listed)
    expect("partitions by the client", 3,
           ctx.driver.call("describe-topic", topic=topic)["partitions"])


def topics(ctx):
    """Create, refuse a second time, delete."""
    topic = ctx.name("topics")
    config = {"retention.ms": "123456789", "cleanup.policy": "compact"}
    ctx.driver.call("create-topic", topic=topic, partitions=3, config=config)
    wait_partitions(ctx, topic, 3)
    stored = ctx.raw.topic_config(topic)
    expect("config of the created topic", config, {k: stored.get(k) for k in config})
    try:
        ctx.driver.call("create-topic", topic=topic, partitions=3, config={})
    except driver.DriverError as error:
        expect_that("the error says that it exists", EXISTS.search(str(error)), str(error))
    else:
        raise Failure("creating a topic twice: expected an error, got none")
    ctx.driver.call("delete-topic", topic=topic)
    wait_partitions(ctx, topic, 0)
    process.poll_until(lambda: topic not in ctx.driver.call("list-topics")["topics"], SETTLE_S,
                       "the deleted topic leaves the client's list")


def wait_partitions(ctx, topic, count):
    process.poll_until(lambda: ctx.raw.partition_count(topic) == count, SETTLE_S,
                       f"{topic} has {count} partitions")


def configs(ctx):
    """A topic's config is described and altered; what was not named stays."""
    topic = ctx.topic("configs", retention_ms=1000000)
    seen = ctx.driver.call("describe-config", topic=topic)["config"]
    expect("retention.ms by the client", "1000000", seen.get("retention.ms"))
    ctx.driver.call("alter-config", topic=topic, config={"segment.bytes": "2097152"})
    process.poll_until(lambda: ctx.raw.topic_config(topic)["segment.bytes"] == "2097152",
                       SETTLE_S, "the broker takes segment.bytes")
    stored = ctx.raw.topic_config(topic)
    expect("retention.ms after altering another", "1000000", stored["retention.ms"])
    seen = ctx.driver.call("describe-config", topic=topic)["config"]
    expect("segment.bytes by the client", "2097152", seen.get("segment.bytes"))


def partitions(ctx):
    """A topic grows, and the new partition takes and gives records."""
    topic = ctx.topic("partitions", 2)
    ctx.driver.call("add-partitions", topic=topic, count=5)
    wait_partitions(ctx, topic, 5)
    process.poll_until(
        lambda: ctx.driver.call("describe-topic", topic=topic)["partitions"] == 5,
        SETTLE_S, "the client sees the new partitions")
    record = {"partition": 4, "key": b"k", "value": b"grown"}
    ctx.writer("partitions-chosen").produce(topic, [record])
    (got,) = ctx.driver.consume(topic, 1)
    expect("record in the new partition", (4, 0, b"grown"),
           (got["partition"], got["offset"], got["value"]))
