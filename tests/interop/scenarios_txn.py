"""Tables of transactions: producers, their partitions and offsets, and what readers get of it."""

import dataclasses
import itertools

from scenario import (AWAIT_STABLE, CONTROL, EPOCH, GROUP, ID, LOOK, TID, TOPIC, TRANSACTIONAL,
                      Batch, Ref, Step)

TIMEOUT_MS = 60_000
SHORT_MS = 1000
NEWEST_CLASSIC = 4  # of EndTxn: the last version before transactions v2
V2 = 5


def init(version=5, **more):
    return Step("InitProducerId", version,
                {"transactional_id": TID, "transaction_timeout_ms": TIMEOUT_MS, **more},
                keep={"id": "producer_id", "epoch": "producer_epoch"})


def produce(batch=Batch(), version=12, topic=TOPIC, partition=0, **more):
    return Step("Produce", version, {
        "transactional_id": TID, "acks": -1, "timeout_ms": 5000, **more,
        "topic_data": [{"name": topic, "partition_data": [
            {"index": partition, "records": batch}]}]},
                ignores=("log_start_offset",))  # which Kafka tells with some errors only


def add(topics, version=3, **more):
    """AddPartitionsToTxn of [(topic, [partition, ...]), ...], as clients or as brokers send it."""
    listed = [{"name": name, "partitions": numbers} for name, numbers in topics]
    if version < 4:
        return Step("AddPartitionsToTxn", version, {
            "v3_and_below_transactional_id": TID, "v3_and_below_producer_id": ID,
            "v3_and_below_producer_epoch": EPOCH, "v3_and_below_topics": listed,
            **{f"v3_and_below_{k}": v for k, v in more.items()}})
    one = {"transactional_id": TID, "producer_id": ID, "producer_epoch": EPOCH,
           "verify_only": False, "topics": listed, **more}
    return Step("AddPartitionsToTxn", version, {"transactions": [one]})


def end(commit, version=V2, **more):
    keep = {"id": "producer_id", "epoch": "producer_epoch"} if version >= V2 else {}
    return Step("EndTxn", version, {"transactional_id": TID, "producer_id": ID,
                                    "producer_epoch": EPOCH, "committed": commit, **more}, keep)


def add_offsets(version=3, **more):
    return Step("AddOffsetsToTxn", version, {
        "transactional_id": TID, "producer_id": ID, "producer_epoch": EPOCH, "group_id": GROUP,
        **more})


def commit_offsets(version=5, topic=TOPIC, partition=0, **more):
    return Step("TxnOffsetCommit", version, {
        "transactional_id": TID, "group_id": GROUP, "producer_id": ID, "producer_epoch": EPOCH,
        **more, "topics": [{"name": topic, "partitions": [
            {"partition_index": partition, "committed_offset": 5, "committed_metadata": "m"}]}]})


def fetch_offsets(stable=False):
    return Step("OffsetFetch", 8, {"require_stable": stable, "groups": [
        {"group_id": GROUP, "topics": [{"name": TOPIC, "partition_indexes": [0, 1]}]}]})


# How a transaction comes to hold partition 0, in the newest way and the one before.
OPENED = {V2: [init(), produce()],
          NEWEST_CLASSIC: [init(4), add([(TOPIC, [0])]), produce(version=11)]}


def ends():
    """Each end after each other, for the producer's epoch and its neighbours."""
    for version, first, again, plus in itertools.product(
            (NEWEST_CLASSIC, V2), (True, False), (True, False), (-2, -1, 0, 1)):
        name = f"end-v{version}-{'commit' if first else 'abort'}-then-" \
               f"{'commit' if again else 'abort'}-at{plus:+d}"
        yield name, [*OPENED[version], end(first, version), LOOK,
                     end(again, version, producer_epoch=Ref("epoch", plus)), LOOK]
    for version, commit in itertools.product((0, 1, NEWEST_CLASSIC, V2), (True, False)):
        word = "commit" if commit else "abort"
        yield f"end-v{version}-{word}-of-nothing", [init(), end(commit, version), LOOK]
        yield f"end-v{version}-{word}-of-another", [
            init(), produce(), end(commit, version, producer_epoch=Ref("epoch", 1)),
            end(commit, version, producer_id=Ref("id", 1000)),
            end(commit, version, transactional_id="nobody"),
            end(commit, version, transactional_id=""), LOOK]
    for version in (NEWEST_CLASSIC, V2):
        yield f"end-v{version}-mixed-with-the-other", [
            *OPENED[version], end(True, 9 - version), LOOK, end(True, version), LOOK]
        yield f"end-v{version}-fenced", [
            *OPENED[version], init(4), end(True, version, producer_epoch=Ref("epoch", -1)),
            end(False, version, producer_epoch=Ref("epoch", -1)), end(True, version), LOOK]


def inits():
    """InitProducerId by those who have an id, in every state that it can find."""
    states = {"fresh": [], "empty": [init()], "open": OPENED[V2], "open-classic": OPENED[4],
              "committed": [*OPENED[V2], end(True)],
              "aborted-classic": [*OPENED[4], end(False, 4)]}
    for (name, before), version in itertools.product(states.items(), (2, 3, 4, 5)):
        yield f"init-v{version}-{name}", [*before, init(version), LOOK]
    told = {"own": (ID, EPOCH), "older": (ID, Ref("epoch", -1)), "newer": (ID, Ref("epoch", 1)),
            "foreign": (Ref("id", 1000), EPOCH), "id-only": (ID, -1), "epoch-only": (-1, EPOCH)}
    for (name, before), (who, (id_, epoch)), version in itertools.product(
            list(states.items())[1:], told.items(), (3, 5)):
        yield f"init-v{version}-{name}-by-{who}", [
            *before, init(version, producer_id=id_, producer_epoch=epoch), LOOK]
    yield "init-without-id", [init(transactional_id=None), init(transactional_id=""),
                              init(transactional_id=None, transaction_timeout_ms=0),
                              init(transaction_timeout_ms=0), init(transaction_timeout_ms=-1),
                              init(transaction_timeout_ms=900_001)]


def late():
    """A transaction whose time is over, and what its producer may do then."""
    short = init(transaction_timeout_ms=SHORT_MS)
    opened = {V2: [short, produce()],
              4: [short, add([(TOPIC, [0])]), produce(version=11)]}
    for version, commit in itertools.product((4, V2), (True, False)):
        yield f"late-v{version}-{'commit' if commit else 'abort'}", [
            *opened[version], AWAIT_STABLE, end(commit, version), LOOK]
        yield f"late-v{version}-produce-{commit:d}", [
            *opened[version], AWAIT_STABLE, produce(Batch(1)),
            init(producer_id=ID, producer_epoch=EPOCH), produce(), end(commit), LOOK]


def produces():
    """Produce, with each flaw a batch or a request can have."""
    plain = Batch(attributes=0)
    none = Batch(id=-1, epoch=-1, sequence=-1, attributes=0)
    no_tid = {"transactional_id": None}
    flaws = {name: Batch(id=-1, epoch=-1, sequence=-1, attributes=0, flaw=name)
             for name in ("crc", "magic", "magic-1", "short", "empty", "twice")}
    flaws.update(half=Batch(epoch=-1, sequence=-1, attributes=0),
                 no_sequence=Batch(sequence=-1, attributes=0))
    for name, batch in flaws.items():
        yield f"produce-{name}", [init(transactional_id=None), produce(batch, **no_tid),
                                  produce(none, **no_tid), LOOK]
    for name, attributes, reason in (
            ("log-append-time", 8, "a bit that only brokers set is INVALID_TIMESTAMP"),
            ("codec", 6, "Kafka answers UNKNOWN_SERVER_ERROR")):
        batch = Batch(id=-1, epoch=-1, sequence=-1, attributes=attributes)
        yield f"produce-{name}", [dataclasses.replace(produce(batch, **no_tid), differs=reason)]
    for acks, seen in ((-2, LOOK), (2, LOOK), (1, AWAIT_STABLE)):
        yield f"produce-acks{acks}", [produce(none, acks=acks, **no_tid), seen]
    yield "produce-control", [init(), produce(Batch(attributes=CONTROL | TRANSACTIONAL)), LOOK]
    yield "produce-nowhere", [produce(none, topic="no.such.topic", **no_tid),
                              produce(none, partition=7, **no_tid),
                              produce(none, partition=-1, **no_tid)]
    yield "produce-idempotent", [
        init(transactional_id=None), *(produce(Batch(s, attributes=0, count=c), **no_tid)
                                       for s, c in ((0, 1), (0, 1), (1, 2), (1, 2), (2, 1), (5, 1),
                                                    (0, 3), (3, 1))), LOOK]
    yield "produce-idempotent-starts-late", [
        init(transactional_id=None), produce(Batch(5, attributes=0), **no_tid), LOOK]
    yield "produce-idempotent-epochs", [
        init(transactional_id=None), produce(plain, **no_tid),
        produce(Batch(0, epoch=Ref("epoch", 1), attributes=0), **no_tid),
        produce(Batch(1, attributes=0), **no_tid),
        produce(Batch(5, epoch=Ref("epoch", 2), attributes=0), **no_tid), LOOK]
    yield "produce-duplicates-of-five", [
        init(transactional_id=None),
        *(produce(Batch(s, attributes=0), **no_tid) for s in (0, 1, 2, 3, 4, 5, 1, 0, 6)), LOOK]
    for version in (8, 11, 12):
        yield f"produce-v{version}-unadded", [
            init(), produce(version=version), produce(Batch(1), version), LOOK]
        yield f"produce-v{version}-transactional-flaws", [
            init(), produce(Batch(0, epoch=Ref("epoch", 1)), version),
            produce(Batch(0, id=Ref("id", 1000)), version),
            produce(Batch(), version, transactional_id="nobody"),
            produce(Batch(), version, transactional_id=None),
            produce(Batch(), version, partition=9), LOOK]
        yield f"produce-v{version}-plain-amid", [
            init(), add([(TOPIC, [0])]), produce(version=version),
            produce(Batch(1, attributes=0), version),
            produce(Batch(1, attributes=0), version, transactional_id=None),
            produce(Batch(1), version), end(True, 4 if version < 12 else V2), LOOK]
        yield f"produce-v{version}-fenced", [
            init(), add([(TOPIC, [0])]), produce(version=version), init(),
            produce(Batch(1, epoch=Ref("epoch", -1)), version),
            produce(Batch(1, epoch=Ref("epoch", -2)), version), LOOK]
        yield f"produce-v{version}-sequences", [
            init(), add([(TOPIC, [0])]), produce(version=version), produce(Batch(3), version),
            produce(Batch(0), version), end(True, 4), add([(TOPIC, [0])]),
            produce(Batch(1), version), produce(Batch(0), version), end(False, 4), LOOK]


def adds():
    """AddPartitionsToTxn, and whether the partitions are in."""
    for version in (0, 3, 4, 5):
        yield f"add-v{version}", [
            init(), add([(TOPIC, [0, 1])], version), LOOK, add([(TOPIC, [0])], version),
            add([("no.such.topic", [0])], version), add([(TOPIC, [7])], version),
            add([(TOPIC, [0]), ("no.such.topic", [0])], version), LOOK,
            add([(TOPIC, [0])], version, producer_epoch=Ref("epoch", 1)),
            add([(TOPIC, [0])], version, producer_id=Ref("id", 1000)),
            add([(TOPIC, [0])], version, transactional_id="nobody"),
            add([(TOPIC, [0])], version, transactional_id=""), LOOK]
        yield f"add-v{version}-nothing", [init(), add([], version), add([(TOPIC, [])], version),
                                          LOOK]
    for version in (4, 5):
        yield f"verify-v{version}", [
            init(), add([(TOPIC, [0])], version, verify_only=True), add([(TOPIC, [0])], version),
            add([(TOPIC, [0, 1])], version, verify_only=True),
            add([("no.such.topic", [0])], version, verify_only=True),
            add([(TOPIC, [0])], version, verify_only=True, producer_epoch=Ref("epoch", 1)),
            add([(TOPIC, [0])], version, verify_only=True, producer_id=Ref("id", 1000)),
            end(True, 4), add([(TOPIC, [0])], version, verify_only=True), LOOK]


def offsets():
    """Offsets within a transaction, by members and by nobody."""
    members = {"nobody": {}, "generation": {"generation_id": 3},
               "member": {"member_id": "who", "generation_id": 1},
               "instance": {"member_id": "who", "generation_id": 1, "group_instance_id": "i"}}
    for version in (2, 3, 4, 5):
        for who, said in members.items():
            if version < 3 and said:
                continue
            yield f"offsets-v{version}-{who}", [
                init(), *([add_offsets()] if version < 5 else []),
                commit_offsets(version, **said), fetch_offsets(), fetch_offsets(True),
                end(True, 4 if version < 5 else V2), LOOK, fetch_offsets(True)]
        yield f"offsets-v{version}-aborted", [
            init(), add_offsets(), commit_offsets(version), end(False, 4), LOOK,
            fetch_offsets(True)]
        yield f"offsets-v{version}-unadded", [init(), commit_offsets(version), LOOK,
                                              fetch_offsets()]
        yield f"offsets-v{version}-flaws", [
            init(), add_offsets(), commit_offsets(version, topic="no.such.topic"),
            commit_offsets(version, partition=9), commit_offsets(version, group_id=""),
            commit_offsets(version, producer_epoch=Ref("epoch", 1)),
            commit_offsets(version, producer_id=Ref("id", 1000)),
            commit_offsets(version, transactional_id="nobody"), LOOK]
    for version in (0, 3, 4):
        yield f"add-offsets-v{version}", [
            init(), add_offsets(version, producer_epoch=Ref("epoch", 1)),
            add_offsets(version, producer_id=Ref("id", 1000)),
            add_offsets(version, transactional_id="nobody"),
            add_offsets(version, transactional_id=""), LOOK,
            dataclasses.replace(add_offsets(version, group_id=""),
                                differs="Kafka takes a group without a name until it commits")]


def fetch(version, isolation, offset=0, partition=0, topic=TOPIC):
    return Step("Fetch", version, {
        "max_wait_ms": 0, "min_bytes": 0, "isolation_level": isolation,
        "topics": [{"topic": topic, "partitions": [
            {"partition": partition, "fetch_offset": offset, "partition_max_bytes": 1 << 20}]}]})


def fetches():
    """What readers of both kinds are given of transactions that were ended either way, or not."""
    closed = [init(), produce(), end(True), produce(), end(False), produce(Batch(count=3)),
              end(False), produce(), end(True), LOOK]
    for version in range(4, 13):
        yield f"fetch-v{version}", [
            *closed, *(fetch(version, isolation, offset) for isolation in (0, 1)
                       for offset in (0, 2, 3, 4, 6, 10, 11, -1)),
            fetch(version, 1, partition=9), fetch(version, 1, topic="no.such.topic")]
        yield f"fetch-v{version}-open", [*closed, produce(), produce(Batch(1)), fetch(version, 0),
                                         fetch(version, 1), fetch(version, 1, 10), end(False),
                                         LOOK, fetch(version, 1, 10)]


TABLES = (ends, inits, late, produces, adds, offsets, fetches)
