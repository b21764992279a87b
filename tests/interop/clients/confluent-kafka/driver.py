"""confluent-kafka (the newest librdkafka, bundled in the wheel) behind the command contract."""

import sys

import confluent_kafka as ck
import contract
from confluent_kafka import admin as cka

WAIT_S = 20
PROCESS_TIMEOUT_MS = 60_000


class Driver:
    """Each method answers the command of its name."""

    def __init__(self, bootstrap, commands):
        self.bootstrap = bootstrap
        self.commands = commands
        self.admin = cka.AdminClient({"bootstrap.servers": bootstrap})
        self.producers = {}

    def config(self, **more):
        named = {k.replace("_", "."): v for k, v in more.items()}
        return {"bootstrap.servers": self.bootstrap, **named}

    def describe(self, _):
        return {"client": "confluent-kafka",
                "version": f"{ck.version()} (librdkafka {ck.libversion()[0]})"}

    def produce(self, command):
        config = self.config(compression_type=command.get("codec", "none"), linger_ms=20,
                             enable_idempotence=command.get("idempotent", False))
        if command.get("max_bytes"):
            config["message.max.bytes"] = command["max_bytes"] + 1000
        self.send(ck.Producer(config), command["topic"], command["records"])

    @staticmethod
    def send(producer, topic, records):
        errors = []

        def on_delivery(error, _):
            if error:
                errors.append(error)

        for record in records:
            producer.produce(
                topic, value=contract.decode(record["value"]),
                key=contract.decode(record["key"]), partition=record["partition"],
                on_delivery=on_delivery, timestamp=record.get("timestamp", 0),
                headers=contract.headers_of(record))
            producer.poll(0)
        left = producer.flush(WAIT_S)
        if errors or left:
            raise RuntimeError(f"{errors[0].str() if errors else 'not delivered in time'}")

    def transactional(self, name, timeout_ms):
        producer = ck.Producer(self.config(transactional_id=name,
                                           transaction_timeout_ms=timeout_ms))
        producer.init_transactions(WAIT_S)
        return producer

    def transact(self, command):
        name = command["producer"]
        if name not in self.producers:
            self.producers[name] = self.transactional(command["id"], command["timeout_ms"])
        producer = self.producers[name]
        actions = {
            "begin": lambda _: producer.begin_transaction(),
            "produce": lambda step: self.send(producer, step["topic"], step["records"]),
            "commit": lambda _: producer.commit_transaction(WAIT_S),
            "abort": lambda _: producer.abort_transaction(WAIT_S),
            "close": lambda _: self.producers.pop(name),
        }
        for step in command["steps"]:
            actions[step["do"]](step)

    def process(self, command):
        consumer = self.consumer(group_id=command["group"])
        consumer.subscribe([command["from"]])
        producer = self.transactional(command["id"], PROCESS_TIMEOUT_MS)
        producer.begin_transaction()
        for _ in range(command["count"]):
            message = consumer.poll(WAIT_S)
            if message is None or message.error():
                raise RuntimeError(message.error().str() if message else "nothing to process")
            producer.produce(command["to"], message.value(), message.key(), 0)
        producer.send_offsets_to_transaction(consumer.position(consumer.assignment()),
                                             consumer.consumer_group_metadata(), WAIT_S)
        producer.flush(WAIT_S)
        if command["end"] == "commit":
            producer.commit_transaction(WAIT_S)
        else:
            producer.abort_transaction(WAIT_S)
        consumer.close()

    def consumer(self, **more):
        return ck.Consumer(self.config(auto_offset_reset="earliest", enable_auto_commit=False,
                                       **more))

    def consume(self, command):
        consumer = self.consumer(group_id="unused", **contract.isolation(command))
        partitions = self.partitions(command["topic"])
        consumer.assign([ck.TopicPartition(command["topic"], p, ck.OFFSET_BEGINNING)
                         for p in partitions])
        patience, records = contract.Patience(command), []
        while len(records) < command["count"]:
            patience.check(records)
            message = consumer.poll(0.2)
            if message is None:
                continue
            if message.error():
                raise ck.KafkaException(message.error())
            records.append(contract.wire_record(
                message.partition(), message.offset(), message.timestamp()[1], message.key(),
                message.value(), message.headers()))
        consumer.close()
        return {"records": records}

    def group_consume(self, command):
        more = {"group_instance_id": command["instance"]} if command["instance"] else {}
        cooperative = command["strategy"] == "cooperative"
        consumer = self.consumer(
            group_id=command["group"], session_timeout_ms=command["session_timeout_ms"],
            heartbeat_interval_ms=500, **more,
            partition_assignment_strategy="cooperative-sticky" if cooperative else "range")
        owned = set()

        def on_assign(_, partitions):
            owned.update(p.partition for p in partitions)
            contract.assigned(owned)

        def on_revoke(_, partitions):
            owned.difference_update(p.partition for p in partitions)
            contract.assigned(owned)

        consumer.subscribe([command["topic"]], on_assign=on_assign, on_revoke=on_revoke)
        while not self.commands.waiting():
            messages = consumer.consume(100, 0.1)
            for message in messages:
                if message.error():
                    raise ck.KafkaException(message.error())
                contract.handled(message.partition(), message.offset(), message.value())
            if messages:
                consumer.commit(asynchronous=False)
        consumer.close()
        self.commands.next()

    def commit(self, command):
        offsets = [ck.TopicPartition(command["topic"], int(p), o)
                   for p, o in command["offsets"].items()]
        group = ck.ConsumerGroupTopicPartitions(command["group"], offsets)
        self.only(self.admin.alter_consumer_group_offsets([group]))

    def committed(self, command):
        wanted = [ck.TopicPartition(command["topic"], p) for p in command["partitions"]]
        group = ck.ConsumerGroupTopicPartitions(command["group"], wanted)
        found = self.only(self.admin.list_consumer_group_offsets([group]))
        return {"offsets": {str(p.partition): max(p.offset, -1) for p in found.topic_partitions}}

    def list_offsets(self, command):
        at = command["at"]
        named = {"earliest": cka.OffsetSpec.earliest, "latest": cka.OffsetSpec.latest}
        spec = named[at]() if at in named else cka.OffsetSpec.for_timestamp(at)
        wanted = ck.TopicPartition(command["topic"], command["partition"])
        return {"offset": self.only(self.admin.list_offsets({wanted: spec})).offset}

    @staticmethod
    def only(futures):
        (future,) = futures.values()
        return future.result(WAIT_S)

    def partitions(self, topic):
        return self.admin.list_topics(topic, WAIT_S).topics[topic].partitions

    def create_topic(self, command):
        topic = cka.NewTopic(command["topic"], command["partitions"], config=command["config"])
        self.only(self.admin.create_topics([topic]))

    def delete_topic(self, command):
        self.only(self.admin.delete_topics([command["topic"]]))

    def list_topics(self, _):
        return {"topics": list(self.admin.list_topics(timeout=WAIT_S).topics)}

    def describe_topic(self, command):
        topics = ck.TopicCollection([command["topic"]])
        return {"partitions": len(self.only(self.admin.describe_topics(topics)).partitions)}

    def describe_config(self, command):
        resource = cka.ConfigResource(cka.ResourceType.TOPIC, command["topic"])
        found = self.only(self.admin.describe_configs([resource]))
        return {"config": {name: entry.value for name, entry in found.items()}}

    def alter_config(self, command):
        entries = [cka.ConfigEntry(name, value, incremental_operation=cka.AlterConfigOpType.SET)
                   for name, value in command["config"].items()]
        resource = cka.ConfigResource(cka.ResourceType.TOPIC, command["topic"],
                                      incremental_configs=entries)
        self.only(self.admin.incremental_alter_configs([resource]))

    def add_partitions(self, command):
        grown = cka.NewPartitions(command["topic"], command["count"])
        self.only(self.admin.create_partitions([grown]))

    def list_groups(self, _):
        return {"groups": [g.group_id for g in self.admin.list_consumer_groups().result().valid]}

    def describe_group(self, command):
        found = self.only(self.admin.describe_consumer_groups([command["group"]]))
        return {"state": found.state.name, "members": len(found.members)}

    def delete_group(self, command):
        self.only(self.admin.delete_consumer_groups([command["group"]]))


if __name__ == "__main__":
    stdin = contract.Commands()
    contract.serve(Driver(sys.argv[1], stdin), stdin)
