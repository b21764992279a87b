"""Tables beside those of transactions: groups, offsets by time, topics and their configs."""

import dataclasses

from scenario import GROUP, TOPIC, Batch, Ref, Step

MEMBER, GENERATION = Ref("member"), Ref("generation")
SESSION_MS = 10_000
PLAIN = Batch(id=-1, epoch=-1, sequence=-1, attributes=0)
TOPIC_KIND, BROKER_KIND = 2, 4
SET, DELETE, APPEND, SUBTRACT = range(4)
UNKNOWN = "Kafka answers UNKNOWN_SERVER_ERROR"
METADATA_MAX = 4096  # Kafka's default of offset.metadata.max.bytes


def differs(step, reason):
    return dataclasses.replace(step, differs=reason)


def join(version=5, member="", **more):
    values = {"group_id": GROUP, "session_timeout_ms": SESSION_MS, "member_id": member,
              "protocol_type": "consumer", "protocols": [{"name": "range", "metadata": b"m"}]}
    if version > 0:
        values["rebalance_timeout_ms"] = SESSION_MS
    return Step("JoinGroup", version, {**values, **more},
                keep={"member": "member_id", "generation": "generation_id"})


def sync(version=3, **more):
    values = {"group_id": GROUP, "generation_id": GENERATION, "member_id": MEMBER,
              "assignments": [{"member_id": MEMBER, "assignment": b"a"}]}
    return Step("SyncGroup", version, {**values, **more})


def heartbeat(version=3, **more):
    return Step("Heartbeat", version, {"group_id": GROUP, "generation_id": GENERATION,
                                       "member_id": MEMBER, **more})


def leave(version=2, **more):
    values = {"group_id": GROUP}
    if version < 3:
        values["member_id"] = MEMBER
    return Step("LeaveGroup", version, {**values, **more})


def commit(version=7, topic=TOPIC, partition=0, offset=5, metadata="", **more):
    return Step("OffsetCommit", version, {
        "group_id": GROUP, "generation_id_or_member_epoch": GENERATION, "member_id": MEMBER,
        **more, "topics": [{"name": topic, "partitions": [
            {"partition_index": partition, "committed_offset": offset,
             "committed_metadata": metadata}]}]})


NOBODY = {"generation_id_or_member_epoch": -1, "member_id": ""}


def fetch(version=7, group=GROUP):
    return Step("OffsetFetch", version, {"group_id": group, "topics": [
        {"name": TOPIC, "partition_indexes": [0, 1, 9]}]})


def describe(group=GROUP):
    return Step("DescribeGroups", 5, {"groups": [group]})


def groups():
    """A group of one member, its versions and its flaws."""
    for version in range(10):
        again = [join(version, MEMBER)] if version >= 4 else []
        yield f"group-join-v{version}", [join(version), *again, sync(), heartbeat(), describe(),
                                         join(version, MEMBER), sync(), describe(), leave(),
                                         heartbeat(), describe()]
    member = [join(), join(5, MEMBER), sync()]
    yield "group-join-flaws", [
        join(group_id=""), join(session_timeout_ms=100), join(session_timeout_ms=99_999_999),
        join(3, protocol_type=""), join(3, protocols=[]), join(member="unknown"), describe(),
        join(9, group_id=""), join(9, session_timeout_ms=100), join(9, member="unknown"),
        join(9, protocol_type=""), describe()]
    yield "group-member-flaws", [
        *member, join(3, protocol_type="other"),
        join(3, protocols=[{"name": "other", "metadata": b""}]),
        heartbeat(generation_id=Ref("generation", 1)), heartbeat(member_id="who"),
        heartbeat(group_id=""), heartbeat(group_id="no.such.group"),
        sync(generation_id=Ref("generation", 1)), sync(member_id="who"),
        sync(group_id="no.such.group"), sync(5, protocol_name="other", protocol_type="consumer"),
        sync(5, protocol_name="range", protocol_type="other"), leave(member_id="who"),
        leave(group_id="no.such.group"), describe()]
    yield "group-commit-flaws", [
        *member, commit(), commit(generation_id_or_member_epoch=Ref("generation", 1)),
        commit(member_id="who"), commit(**NOBODY), commit(topic="no.such.topic"),
        commit(partition=9), commit(offset=-5), commit(metadata="m" * METADATA_MAX),
        commit(metadata="m" * (METADATA_MAX + 1)), commit(group_id=""),
        commit(group_id="no.such.group"), fetch(), fetch(1), fetch(group="no.such.group"),
        Step("DeleteGroups", 1, {"groups_names": [GROUP]}), leave(),
        commit(), commit(**NOBODY), fetch(),
        Step("DeleteGroups", 1, {"groups_names": [GROUP, "no.such.group", ""]}), fetch(),
        describe(), describe("")]
    yield "group-static", [
        join(5, group_instance_id="i"), sync(group_instance_id="i"),
        Step("JoinGroup", 5, {**join().values, "group_instance_id": "i"},
             keep={"second": "member_id"}),
        heartbeat(group_instance_id="i"), heartbeat(member_id=Ref("second"), group_instance_id="i"),
        heartbeat(member_id=Ref("second"), group_instance_id="other"),
        commit(group_instance_id="i"), describe(),
        Step("LeaveGroup", 3, {"group_id": GROUP, "members": [
            {"member_id": "", "group_instance_id": "i"},
            {"member_id": "", "group_instance_id": "other"}, {"member_id": "who"}]}), describe()]


def list_offsets(version, timestamp, partition=0, topic=TOPIC, **more):
    return Step("ListOffsets", version, {"replica_id": -1, **more, "topics": [
        {"name": topic, "partitions": [{"partition_index": partition, "timestamp": timestamp}]}]})


def produce_plain(**more):
    return Step("Produce", 12, {"acks": -1, "timeout_ms": 5000, "topic_data": [
        {"name": TOPIC, "partition_data": [{"index": 0, "records": PLAIN}]}], **more})


def times():
    """ListOffsets of every kind of time, in every version."""
    for version in range(1, 12):
        yield f"list-offsets-v{version}", [
            *(list_offsets(version, at) for at in (-1, -2)), produce_plain(), produce_plain(),
            *(list_offsets(version, at) for at in (-1, -2, 0, 1 << 50, -3, -4, -5, -6, -7)),
            list_offsets(version, -1, partition=9), list_offsets(version, -1, partition=-1),
            list_offsets(version, -1, topic="no.such.topic"),
            *([list_offsets(version, -1, isolation_level=1),
               differs(list_offsets(version, -1, isolation_level=7), UNKNOWN)]
              if version > 1 else [])]


def alter(name, value, operation=SET, topic=TOPIC, kind=TOPIC_KIND, validate_only=False):
    return Step("IncrementalAlterConfigs", 1, {"validate_only": validate_only, "resources": [
        {"resource_type": kind, "resource_name": topic, "configs": [
            {"name": name, "config_operation": operation, "value": value}]}]})


def show(*names, topic=TOPIC, kind=TOPIC_KIND):
    return Step("DescribeConfigs", 4, {"resources": [
        {"resource_type": kind, "resource_name": topic, "configuration_keys": list(names)}]})


def configs():
    """Configs of topics: what may be set, and what is said of what may not."""
    yield "configs-set", [
        alter("retention.ms", "1000"), show("retention.ms"), alter("retention.ms", "x"),
        alter("retention.ms", "-2"), alter("retention.ms", None), alter("no.such.config", "1"),
        alter("cleanup.policy", "other"), alter("cleanup.policy", "delete,compact"),
        show("cleanup.policy"), alter("cleanup.policy", "delete", SUBTRACT),
        show("cleanup.policy"), alter("cleanup.policy", "delete", APPEND),
        alter("retention.ms", "1", APPEND), alter("retention.ms", None, DELETE),
        differs(alter("retention.ms", "1", 9), UNKNOWN), show("retention.ms", "cleanup.policy"),
        alter("max.message.bytes", "-1"), alter("segment.bytes", "1"),
        alter("message.timestamp.type", "Other"), alter("min.insync.replicas", "0")]
    yield "configs-validate-only", [alter("retention.ms", "1000", validate_only=True),
                                    alter("retention.ms", "x", validate_only=True),
                                    show("retention.ms")]
    yield "configs-nowhere", [
        alter("retention.ms", "1", topic="no.such.topic"), alter("retention.ms", "1", kind=77),
        alter("retention.ms", "1", topic=""), show("retention.ms", topic="no.such.topic"),
        show("no.such.config"), show("retention.ms", kind=77), show("retention.ms", topic="")]


def create(name=Ref("topic", ".new"), count=1, replicas=1, config=(), assignments=(), **more):
    topic = {"name": name, "num_partitions": count, "replication_factor": replicas,
             "assignments": [{"partition_index": p, "broker_ids": b} for p, b in assignments],
             "configs": [{"name": k, "value": v} for k, v in config]}
    return Step("CreateTopics", 7, {"topics": [topic], **more},
                ignores=("configs",))  # Kafka echoes those without effect here too


def topics():
    """CreateTopics, CreatePartitions and DeleteTopics with each flaw."""
    yield "topics-create", [
        create(count=0), create(count=-2), create(replicas=0), create(replicas=3),
        create(name=""), create(name="."), create(name="a b"), create(name="x" * 250),
        create(name=TOPIC), create(config=[("retention.ms", "x")]),
        create(config=[("no.such.config", "1")]), create(validate_only=True),
        create(count=-1, replicas=-1, validate_only=True), create(count=2), create()]
    partitions = [Step("CreatePartitions", 3, {"timeout_ms": 5000, "topics": [
        {"name": name, "count": count, "assignments": None}]})
                  for name, count in ((TOPIC, 1), (TOPIC, 2), (TOPIC, 0), (TOPIC, -1),
                                      ("no.such.topic", 3), (TOPIC, 4))]
    yield "topics-grow", [*partitions, list_offsets(7, -1, partition=3)]
    yield "topics-delete", [Step("DeleteTopics", 5, {"topic_names": [name], "timeout_ms": 5000})
                            for name in ("no.such.topic", "", TOPIC)]


TABLES = (groups, times, configs, topics)
