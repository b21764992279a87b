"""Tables of what brokers remove: by compaction, by retention, on request, with the topic."""

from scenario import LOOK, TOPIC, Batch, Step
from scenarios_admin import alter, create, list_offsets
from scenarios_txn import end, init, produce

SEGMENT_MS = 500
LATER_MS = 120_000  # so that each batch begins a segment, behind markers too
TWO_HOURS_MS = 2 * 60 * 60 * 1000
PLAIN = {"id": -1, "epoch": -1, "sequence": -1, "attributes": 0}
ROLLING = [alter("segment.ms", str(SEGMENT_MS))]
COMPACTED = [*ROLLING, alter("min.cleanable.dirty.ratio", "0"), alter("delete.retention.ms", "0"),
             alter("cleanup.policy", "compact")]


def write(*pairs, **more):
    """A batch of the pairs to the first partition, by nobody in particular."""
    batch = Batch(**{**PLAIN, "later_ms": LATER_MS, "pairs": pairs, **more})
    return Step("Produce", 12, {"acks": -1, "timeout_ms": 5000, "topic_data": [
        {"name": TOPIC, "partition_data": [{"index": 0, "records": batch}]}]},
                ignores=("log_start_offset",))


def await_compacted(active=1, bare=False):
    return Step("await", 0, {"topic": TOPIC, "active": active, "bare": bare},
                how="await_compacted")


def await_start(start):
    return Step("await", 0, {"topic": TOPIC, "start": start}, how="await_start")


def await_topic(known):
    return Step("await", 0, {"topic": TOPIC, "known": known}, how="await_topic")


def await_empty():
    return Step("await", 0, {"topic": TOPIC}, how="await_empty")


def fetch_from(offset):
    return Step("Fetch", 12, {"max_wait_ms": 0, "min_bytes": 0, "topics": [
        {"topic": TOPIC, "partitions": [{"partition": 0, "fetch_offset": offset,
                                         "partition_max_bytes": 1 << 20}]}]})


def delete_records(offset, partition=0, topic=TOPIC):
    return Step("DeleteRecords", 2, {"timeout_ms": 5000, "topics": [
        {"name": topic, "partitions": [{"partition_index": partition, "offset": offset}]}]})


def compactions():
    """What compaction leaves of keys, of tombstones, and of transactions."""
    a, b, c = b"a", b"b", b"c"
    yield "compact-keys", [
        *COMPACTED, write((a, b"1"), (b, b"1"), (a, b"2")), write((b, b"2"), (c, b"1")),
        write((c, b"2")), write((b"last", b"1")), await_compacted(), list_offsets(7, -2),
        list_offsets(7, -1), fetch_from(0), fetch_from(1)]
    yield "compact-tombstones", [
        *COMPACTED, write((a, b"1"), (b, b"1")), write((a, None)), write((b"last", b"1")),
        await_compacted(), write((c, b"1")), write((b"last", b"2")), await_compacted(bare=True),
        write((a, b"3")), write((b"last", b"3")), await_compacted(bare=True)]
    yield "compact-no-key", [
        *COMPACTED, write((a, b"1")), write((a, b"2")), write((a, b"3")), await_compacted(),
        write((a, b"1"), (None, b"1")), write((None, b"1")), LOOK]
    for word, commit in (("commit", True), ("abort", False)):
        yield f"compact-{word}", [
            *COMPACTED, write((a, b"1"), (b, b"1")), init(),
            produce(Batch(pairs=((a, b"2"), (c, b"1")), later_ms=LATER_MS)), end(commit), LOOK,
            write((b"last", b"1")),
            await_compacted(), write((c, b"2")), write((b"last", b"2")), await_compacted(), LOOK]
    yield "compact-and-delete", [
        *COMPACTED, alter("cleanup.policy", "delete"), alter("retention.ms", "3600000"),
        write((a, b"1"), later_ms=-TWO_HOURS_MS), write((b, b"1"), later_ms=TWO_HOURS_MS),
        write((b, b"2")), write((b"last", b"1")), await_start(1),
        alter("cleanup.policy", "delete,compact"), await_compacted(), list_offsets(7, -2),
        fetch_from(0), fetch_from(1)]


def removals():
    """Retention by time and size, DeleteRecords, and a topic that goes and comes back."""
    old = [write((None, b"x"), later_ms=-TWO_HOURS_MS), write((None, b"y")),
           write((None, b"z"), later_ms=TWO_HOURS_MS), write((None, b"z"))]
    yield "retention-ms", [*ROLLING, *old, alter("retention.ms", "3600000"), await_start(2),
                           list_offsets(7, -2), list_offsets(7, 0), fetch_from(0), fetch_from(2)]
    yield "retention-bytes", [*ROLLING, *old, alter("retention.bytes", "0"), await_start(3),
                              list_offsets(7, -2), fetch_from(1), fetch_from(3)]
    yield "delete-records", [
        *ROLLING, *old, delete_records(0), delete_records(2), list_offsets(7, -2), fetch_from(1),
        fetch_from(2), delete_records(1), delete_records(5), delete_records(-2),
        delete_records(0, partition=9), delete_records(0, topic="no.such.topic"),
        delete_records(-1), list_offsets(7, -2), list_offsets(7, -1), fetch_from(4),
        write((None, b"a")), list_offsets(7, -2), fetch_from(4)]
    yield "topic-comes-back", [
        *old, Step("DeleteTopics", 5, {"topic_names": [TOPIC], "timeout_ms": 5000}),
        await_topic(False), create(TOPIC), await_topic(True), await_empty(), write((None, b"a")),
        fetch_from(0)]


TABLES = (compactions, removals)
