"""Checks of Kafka's command line tools that have no counterpart in other clients."""

import json
import pathlib
import re
import tempfile

import kafka_node
import process
import raw
import server
from checks import Failure, expect, expect_that

TOOL_S = 60
TOOLS = "org.apache.kafka.tools."
PERF_COUNT = 20_000


def run(ctx, main, *args, stdin=b""):
    """Runs a tool against the broker under test; returns what it printed."""
    argv = kafka_node.java(TOOLS + main, "--bootstrap-server", ctx.address, *args)
    return output(main, process.run(argv, TOOL_S, stdin=stdin))


def output(name, done):
    code, out, err = (done[0], done[1].decode(), done[2].decode())
    if code or "ERROR" in err:
        raise Failure(f"{name}: expected success, got exit {code}: {err or out}")
    return out


def found(what, pattern, text):
    match = re.search(pattern, text, re.MULTILINE)
    expect_that(f"{what}: expected a match of {pattern!r}", match, text)
    return match


def perf(ctx):
    """kafka-producer-perf-test and kafka-consumer-perf-test agree on every record."""
    topic = ctx.topic("perf", 2)
    out = run(ctx, "ProducerPerformance", "--topic", topic, "--num-records", str(PERF_COUNT),
              "--record-size", "100", "--throughput", "-1", "--command-property", "acks=all")
    found("producer's report", rf"^{PERF_COUNT} records sent", out)
    expect("records in the log", PERF_COUNT, sum(ctx.raw.ends(topic, 2).values()))
    out = run(ctx, "ConsumerPerformance", "--topic", topic, "--num-records", str(PERF_COUNT),
              "--hide-header", "--group", ctx.name("perf-group"))
    fields = [field.strip() for field in out.strip().splitlines()[-1].split(",")]
    expect("records that the consumer reports", PERF_COUNT, int(fields[4]))


def dump_log(ctx):
    """kafka-dump-log reads the server's segment: every batch valid, every record there."""
    topic = ctx.topic("dump-log")
    for codec in raw.CODECS:
        records = [{"key": b"key-%d" % i, "value": b"%s-value-%d" % (codec.encode(), i)}
                   for i in range(5)]
        ctx.reference.produce(topic, records, codec=codec)
    path = server.segment(ctx.server, topic)
    expect_that(f"a segment file at {path}", path.is_file(), sorted(path.parent.glob("*")))
    argv = kafka_node.java(TOOLS + "DumpLogSegments", "--files", path, "--print-data-log",
                           "--deep-iteration")
    out = output("DumpLogSegments", process.run(argv, TOOL_S))
    batches = re.findall(r"^baseOffset: .*? compresscodec: (\w+) .*? isvalid: (\w+)", out,
                         re.MULTILINE)
    wanted = [(b.codec, "true") for b in ctx.raw.batches(topic)]
    expect("batches: codec and validity", wanted, batches)
    values = re.findall(r"payload: (\S+)", out)
    expect("record values", [f"{c}-value-{i}" for c in raw.CODECS for i in range(5)], values)


def api_versions(ctx):
    """kafka-broker-api-versions knows every API that the broker offers."""
    out = run(ctx, "BrokerApiVersionsCommand")
    for api in ("Produce(0)", "Fetch(1)", "JoinGroup(11)", "CreateTopics(19)"):
        found(f"{api} usable", rf"{re.escape(api)}: \d+(?: to \d+)? \[usable: \d+\]", out)


def delete_records(ctx):
    """kafka-delete-records moves the start of a log."""
    topic = ctx.topic("delete-records")
    ctx.reference.produce(topic, [{"value": b"%d" % i} for i in range(10)])
    plan = {"version": 1, "partitions": [{"topic": topic, "partition": 0, "offset": 4}]}
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "plan.json"
        path.write_text(json.dumps(plan))
        run(ctx, "DeleteRecordsCommand", "--offset-json-file", path)
    expect("start of the log", 4, ctx.raw.list_offset(topic, 0, raw.EARLIEST))


def log_dirs(ctx):
    """kafka-log-dirs tells the size that the segment has on disk."""
    topic = ctx.topic("log-dirs")
    ctx.reference.produce(topic, [{"value": ctx.payload(10_000)}])
    out = run(ctx, "LogDirsCommand", "--describe", "--topic-list", topic)
    described = json.loads(out.strip().splitlines()[-1])
    (replica,) = [p for b in described["brokers"] for d in b["logDirs"] for p in d["partitions"]]
    stored = sum(12 + size for size in batch_lengths(ctx.raw.fetch(topic, 0, 0)))
    expect("partition and size", (f"{topic}-0", stored), (replica["partition"], replica["size"]))


def batch_lengths(data):
    at = 0
    while at < len(data):
        length = int.from_bytes(data[at + 8:at + 12], "big")
        yield length
        at += 12 + length


def cluster_id(ctx):
    """kafka-cluster gives the id of the cluster."""
    argv = kafka_node.java(TOOLS + "ClusterTool", "cluster-id", "--bootstrap-server", ctx.address)
    found("cluster id", r"^Cluster ID: \S{22}$",
          output("ClusterTool", process.run(argv, TOOL_S)))


def feature_levels(ctx):
    """kafka-features shows finalised features."""
    argv = kafka_node.java(TOOLS + "FeatureCommand", "--bootstrap-server", ctx.address, "describe")
    out = output("FeatureCommand", process.run(argv, TOOL_S))
    for name in ("metadata.version", "group.version"):
        level = found(name, rf"Feature: {re.escape(name)}\s.*FinalizedVersionLevel: (\S+)", out)[1]
        expect_that(f"{name} is finalised", level not in ("0", "-"), level)


def console_group(ctx):
    """A console consumer in a group goes on where the one before it ended."""
    topic, group = ctx.topic("console-group"), ctx.name("console-group")
    ctx.reference.produce(topic, [{"value": b"line-%d" % i} for i in range(10)])
    parts = []
    for count in (4, 6):
        out = run(ctx, "consumer.ConsoleConsumer", "--topic", topic, "--group", group,
                  "--from-beginning", "--max-messages", str(count), "--timeout-ms", "20000")
        parts.append(out.split())
    expect("lines of both", [[f"line-{i}" for i in range(4)], [f"line-{i}" for i in range(4, 10)]],
           parts)


def lag(ctx):
    """kafka-consumer-groups tells offsets and lag, and resets by more than one rule."""
    topic, group = ctx.topic("lag"), ctx.name("lag-group")
    ctx.reference.produce(topic, [{"value": b"%d" % i} for i in range(10)])
    ctx.reference.call("commit", group=group, topic=topic, offsets={"0": 6})
    command = ("consumer.group.ConsumerGroupCommand", "--group", group)
    out = run(ctx, *command, "--describe")
    found("current offset, log end, lag", rf"{re.escape(topic)} +0 +6 +10 +4 ", out)
    for rule, offset in (("--shift-by=-2", 4), ("--to-earliest", 0), ("--to-latest", 10)):
        run(ctx, *command, "--reset-offsets", "--topic", topic, rule, "--execute")
        expect(f"offset after {rule}", {0: offset}, ctx.raw.committed(group, topic, 1))


def verifiable_producer(ctx):
    """kafka-verifiable-producer sees every send acknowledged."""
    topic = ctx.topic("verifiable")
    out = run(ctx, "VerifiableProducer", "--topic", topic, "--max-messages", "500",
              "--acks", "-1")
    events = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    sums = [e for e in events if e["name"] == "tool_data"][-1]
    expect("sent and acknowledged", (500, 500), (sums["sent"], sums["acked"]))
    expect("records in the log", {0: 500}, ctx.raw.ends(topic, 1))


# name, title, check: what features.py makes rows of
CHECKS = [
    ("perf", "kafka-producer-perf-test, kafka-consumer-perf-test", perf),
    ("dump-log", "kafka-dump-log on the server's segment", dump_log),
    ("api-versions", "kafka-broker-api-versions", api_versions),
    ("delete-records", "kafka-delete-records", delete_records),
    ("log-dirs", "kafka-log-dirs", log_dirs),
    ("cluster", "kafka-cluster cluster-id", cluster_id),
    ("features", "kafka-features describe", feature_levels),
    ("console-group", "kafka-console-consumer --group", console_group),
    ("lag", "kafka-consumer-groups: lag and resets", lag),
    ("verifiable-producer", "kafka-verifiable-producer", verifiable_producer),
]
