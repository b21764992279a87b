"""kafka-python behind the command contract."""

import sys

import contract
import kafka
from kafka.admin import ConfigResource, ConfigResourceType, OffsetSpec
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.structs import OffsetAndMetadata

WAIT_S = 20
PROCESS_TIMEOUT_MS = 60_000


class Assignment(kafka.ConsumerRebalanceListener):
    """Reports the whole assignment whenever it changes. Nothing is left to commit on revocation:
    what was handled is committed before each poll."""

    def __init__(self, consumer):
        self.consumer = consumer

    def on_partitions_assigned(self, assigned):
        contract.assigned({p.partition for p in self.consumer.assignment()})

    def on_partitions_revoked(self, revoked):
        contract.assigned({p.partition for p in self.consumer.assignment() - set(revoked)})


class Driver:
    """Each method answers the command of its name."""

    def __init__(self, bootstrap, commands):
        self.bootstrap = bootstrap
        self.commands = commands
        self.admin = kafka.KafkaAdminClient(bootstrap_servers=bootstrap)
        self.producers = {}

    def describe(self, _):
        return {"client": "kafka-python", "version": kafka.__version__}

    def produce(self, command):
        more = {"max_request_size": command["max_bytes"] + 1000} if command.get("max_bytes") else {}
        codec = command.get("codec", "none")
        producer = kafka.KafkaProducer(
            bootstrap_servers=self.bootstrap, linger_ms=20, **more,
            compression_type=None if codec == "none" else codec,
            enable_idempotence=command.get("idempotent", False))
        try:
            self.send(producer, command["topic"], command["records"])
        finally:
            producer.close(WAIT_S)

    @staticmethod
    def send(producer, topic, records):
        sent = [producer.send(
            topic, value=contract.decode(r["value"]), key=contract.decode(r["key"]),
            headers=contract.headers_of(r), partition=r["partition"],
            timestamp_ms=r.get("timestamp")) for r in records]
        for future in sent:
            future.get(WAIT_S)

    def transactional(self, name, timeout_ms):
        producer = kafka.KafkaProducer(bootstrap_servers=self.bootstrap, transactional_id=name,
                                       transaction_timeout_ms=timeout_ms)
        producer.init_transactions()
        return producer

    def transact(self, command):
        name = command["producer"]
        if name not in self.producers:
            self.producers[name] = self.transactional(command["id"], command["timeout_ms"])
        producer = self.producers[name]
        actions = {
            "begin": lambda _: producer.begin_transaction(),
            "produce": lambda step: self.send(producer, step["topic"], step["records"]),
            "commit": lambda _: producer.commit_transaction(),
            "abort": lambda _: producer.abort_transaction(),
            "close": lambda _: self.producers.pop(name).close(WAIT_S),
        }
        for step in command["steps"]:
            actions[step["do"]](step)

    def process(self, command):
        consumer = self.consumer(command["from"], group_id=command["group"], max_poll_records=1)
        producer = self.transactional(command["id"], PROCESS_TIMEOUT_MS)
        producer.begin_transaction()
        left, offsets = command["count"], {}
        while left:
            for partition, records in consumer.poll(200).items():
                for record in records:
                    producer.send(command["to"], record.value, record.key, partition=0)
                    offsets[partition] = OffsetAndMetadata(record.offset + 1, "", -1)
                    left -= 1
        producer.send_offsets_to_transaction(offsets, consumer.group_metadata())
        producer.flush(WAIT_S)
        if command["end"] == "commit":
            producer.commit_transaction()
        else:
            producer.abort_transaction()
        producer.close(WAIT_S)
        consumer.close()

    def consumer(self, *topics, **more):
        return kafka.KafkaConsumer(*topics, bootstrap_servers=self.bootstrap,
                                   auto_offset_reset="earliest", enable_auto_commit=False, **more)

    def consume(self, command):
        topic = command["topic"]
        consumer = self.consumer(**contract.isolation(command))
        consumer.assign([kafka.TopicPartition(topic, p)
                         for p in consumer.partitions_for_topic(topic)])
        consumer.seek_to_beginning()
        patience, records = contract.Patience(command), []
        while len(records) < command["count"]:
            patience.check(records)
            for batch in consumer.poll(200).values():
                records += [contract.wire_record(r.partition, r.offset, r.timestamp, r.key,
                                                 r.value, r.headers) for r in batch]
        consumer.close()
        return {"records": records}

    def group_consume(self, command):
        cooperative = command["strategy"] == "cooperative"
        consumer = self.consumer(
            group_id=command["group"], group_instance_id=command["instance"],
            session_timeout_ms=command["session_timeout_ms"], heartbeat_interval_ms=500,
            partition_assignment_strategy=[
                CooperativeStickyAssignor if cooperative else RangePartitionAssignor])
        consumer.subscribe([command["topic"]], listener=Assignment(consumer))
        while not self.commands.waiting():
            batches = consumer.poll(100)
            for batch in batches.values():
                for record in batch:
                    contract.handled(record.partition, record.offset, record.value)
            if batches:
                consumer.commit()
        consumer.close()
        self.commands.next()

    def commit(self, command):
        offsets = {kafka.TopicPartition(command["topic"], int(p)): OffsetAndMetadata(o, "", -1)
                   for p, o in command["offsets"].items()}
        for error in self.admin.alter_group_offsets(command["group"], offsets).values():
            if error.errno:
                raise error()

    def committed(self, command):
        wanted = [kafka.TopicPartition(command["topic"], p) for p in command["partitions"]]
        found = self.admin.list_group_offsets({command["group"]: wanted})[command["group"]]
        return {"offsets": {str(p.partition): found[p].offset if p in found else -1
                            for p in wanted}}

    def list_offsets(self, command):
        named = {"earliest": OffsetSpec.EARLIEST, "latest": OffsetSpec.LATEST}
        wanted = kafka.TopicPartition(command["topic"], command["partition"])
        spec = named.get(command["at"], command["at"])
        return {"offset": self.admin.list_partition_offsets({wanted: spec})[wanted].offset}

    def create_topic(self, command):
        self.admin.create_topics({command["topic"]: {
            "num_partitions": command["partitions"], "configs": command["config"]}})

    def delete_topic(self, command):
        self.admin.delete_topics([command["topic"]])

    def list_topics(self, _):
        return {"topics": list(self.admin.list_topics())}

    def describe_topic(self, command):
        (topic,) = self.admin.describe_topics([command["topic"]])
        return {"partitions": len(topic["partitions"])}

    def describe_config(self, command):
        resource = ConfigResource(ConfigResourceType.TOPIC, command["topic"])
        found = self.admin.describe_configs([resource], config_filter="all")
        entries = found["topic"][command["topic"]]
        return {"config": {name: entry["value"] for name, entry in entries.items()}}

    def alter_config(self, command):
        self.admin.alter_configs([ConfigResource(
            ConfigResourceType.TOPIC, command["topic"], command["config"])])

    def add_partitions(self, command):
        self.admin.create_partitions({command["topic"]: command["count"]})

    def list_groups(self, _):
        return {"groups": [g["group_id"] for g in self.admin.list_groups()]}

    def describe_group(self, command):
        group = self.admin.describe_groups([command["group"]])[command["group"]]
        return {"state": group["group_state"], "members": len(group["members"])}

    def delete_group(self, command):
        result = self.admin.delete_groups([command["group"]])[command["group"]]
        if result != "OK":
            raise RuntimeError(result)


if __name__ == "__main__":
    stdin = contract.Commands()
    contract.serve(Driver(sys.argv[1], stdin), stdin)
