"""Checks of produce and consume: what goes in comes out, and is stored as asked for."""

import re
import time

import driver
import raw
from checks import BROKER_DEFAULT_BYTES, Failure, expect, expect_that

MIB = 1 << 20
REFERENCE_TOPIC = "reference-batches"
REFERENCE_COUNT = 10
DAY_MS = 86_400_000
TOO_LARGE = re.compile(r"too.?large|larger than", re.IGNORECASE)


def key_values(records):
    return [(r.get("key"), r.get("value")) for r in records]


def round_trip(ctx, topic, records, **options):
    """Produces and consumes with the client under test and compares keys and values."""
    ctx.driver.produce(topic, records, **options)
    got = ctx.driver.consume(topic, len(records), max_bytes=options.get("max_bytes"))
    expect("records consumed", len(records), len(got))
    expect("keys and values", key_values(records), key_values(got))
    return got


def codec(ctx, name):
    """The batch is stored in the codec asked for, and read back by the same client."""
    topic = ctx.topic(f"codec-{name}")
    records = [{"key": b"k%d" % i, "value": ctx.payload(2000, i)} for i in range(50)]
    round_trip(ctx, topic, records, codec=name)
    batches = ctx.raw.batches(topic)
    expect("codecs stored", {name}, {b.codec for b in batches})
    expect("magic stored", {2}, {b.magic for b in batches})
    expect("records stored", 50, sum(b.count for b in batches))


def reference_batches(ctx):
    """Reads what the Java client wrote, in every codec (see write_reference)."""
    got = ctx.driver.consume(REFERENCE_TOPIC, REFERENCE_COUNT * len(raw.CODECS))
    wanted = [r for p in range(len(raw.CODECS)) for r in reference_records(p)]
    expect("keys and values of Java's batches", key_values(wanted), key_values(got))


def reference_records(partition):
    return [{"partition": partition, "key": b"key %d" % i, "value": b"value %d " % i * 100}
            for i in range(REFERENCE_COUNT)]


def write_reference(ctx):
    """One partition for each codec, written by the Java client before the other clients run."""
    ctx.raw.create_topic(REFERENCE_TOPIC, len(raw.CODECS))
    for partition, name in enumerate(raw.CODECS):
        ctx.driver.produce(REFERENCE_TOPIC, reference_records(partition), codec=name)
        stored = {b.codec for b in ctx.raw.batches(REFERENCE_TOPIC, partition)}
        expect("codec of the reference batches", {name}, stored)


def sizes(ctx):
    """Values from 1 byte to 1,000,000 bytes under the broker's default limit."""
    topic = ctx.topic("sizes")
    records = [{"key": b"k", "value": ctx.payload(n, n)}
               for n in (1, 2, 127, 128, 1000, 16_384, 100_000, 1_000_000)]
    round_trip(ctx, topic, records, max_bytes=1_000_100)


def large(ctx):
    """A value of 8 MiB where broker, topic and client have their limits raised."""
    topic = ctx.topic("large", max_message_bytes=9_000_000)
    records = [{"key": b"k", "value": ctx.payload(8 * MIB, 8)}]
    round_trip(ctx, topic, records, max_bytes=8 * MIB + 1000)


def too_large(ctx):
    """A value above the topic's limit is refused, the client says so, and nothing is stored."""
    topic = ctx.topic("too-large", max_message_bytes=BROKER_DEFAULT_BYTES)
    try:
        ctx.driver.produce(topic, [{"value": ctx.payload(2 * MIB, 2)}], max_bytes=4 * MIB)
    except driver.DriverError as error:
        expect_that("the client's error names the size", TOO_LARGE.search(str(error)), str(error))
    else:
        raise Failure("a value above max.message.bytes: expected an error, got none")
    expect("log end after the refusal", {0: 0}, ctx.raw.ends(topic, 1))
    round_trip(ctx, topic, [{"key": b"k", "value": b"small enough"}])


def headers(ctx):
    """Headers keep repetition and bytes."""
    topic = ctx.topic("headers")
    binary = bytes(range(256)) if ctx.client.can("headers-binary") else b"plain"
    wanted = [[("a", b"1"), ("a", b"2"), ("b", b"3")], [("blob", binary)], [],
              [("utf-\u00e9", b"x")]]
    records = [{"key": b"k", "value": b"v%d" % i, "headers": h} for i, h in enumerate(wanted)]
    got = round_trip(ctx, topic, records)
    expect("headers", wanted, [r["headers"] for r in got])


def header_order(ctx):
    """Headers keep their order, also when a name comes again after another."""
    topic = ctx.topic("header-order")
    wanted = [("b", b"1"), ("a", b"2"), ("b", b"3")]
    got = round_trip(ctx, topic, [{"key": b"k", "value": b"v", "headers": wanted}])
    expect("headers", wanted, got[0]["headers"])


def header_nulls(ctx):
    """A header without a value is not a header with an empty one."""
    topic = ctx.topic("header-nulls")
    wanted = [("null", None), ("empty", b"")]
    got = round_trip(ctx, topic, [{"key": b"k", "value": b"v", "headers": wanted}])
    expect("headers", wanted, got[0]["headers"])


def nulls(ctx):
    """Null keys and values stay null, on the wire and in the client."""
    topic = ctx.topic("nulls")
    round_trip(ctx, topic, [{"key": None, "value": b"no key"}, {"key": b"no value", "value": None},
                            {"key": b"both", "value": b"both"}])


def null_both(ctx):
    """A record may have neither."""
    topic = ctx.topic("null-both")
    round_trip(ctx, topic, [{"key": None, "value": None}])


def empties(ctx):
    """Empty is not null."""
    topic = ctx.topic("empties")
    round_trip(ctx, topic, [{"key": b"", "value": b"empty key"}, {"key": b"empty", "value": b""}])


def timestamps(ctx):
    """The producer's timestamps come back, on any day."""
    topic = ctx.topic("timestamps", retention_ms=-1)
    now = int(time.time() * 1000)
    times = [1, 1_000_000_000_000, now - DAY_MS, now]
    records = [{"key": b"k", "value": b"v", "timestamp": t} for t in times]
    got = round_trip(ctx, topic, records)
    expect("timestamps", times, [r["timestamp"] for r in got])
    expect("largest timestamp stored", now, max(b.max_timestamp for b in ctx.raw.batches(topic)))


def log_append_time(ctx):
    """A topic that stamps by the broker's clock does so."""
    topic = ctx.topic("append-time", message_timestamp_type="LogAppendTime")
    before = int(time.time() * 1000)
    (got,) = round_trip(ctx, topic, [{"key": b"k", "value": b"v"}])
    after = int(time.time() * 1000)
    expect("stored as LogAppendTime", {True},
           {b.log_append_time for b in ctx.raw.batches(topic)})
    expect_that(f"timestamp between {before} and {after}",
                before <= got["timestamp"] <= after, got["timestamp"])


def idempotent(ctx):
    """Batches of an idempotent producer carry its id and a sequence without gaps."""
    topic = ctx.topic("idempotent")
    records = [{"key": b"k", "value": ctx.payload(100, i)} for i in range(100)]
    round_trip(ctx, topic, records, idempotent=True)
    batches = ctx.raw.batches(topic)
    expect_that("a producer id in every batch", all(b.producer_id >= 0 for b in batches), batches)
    expect("sequences", [b.base_offset for b in batches], [b.base_sequence for b in batches])
    expect("records stored", 100, sum(b.count for b in batches))
