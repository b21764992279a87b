"""aiokafka behind the command contract."""

import asyncio
import sys

import aiokafka
import contract
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import for_code
from aiokafka.structs import OffsetAndMetadata, TopicPartition

FETCH_BYTES = 1 << 20
DYNAMIC_TOPIC_CONFIG = 1
PROCESS_TIMEOUT_MS = 60_000


class Assignment(aiokafka.ConsumerRebalanceListener):
    """Reports the whole assignment after each rebalance."""

    async def on_partitions_assigned(self, assigned):
        contract.assigned({p.partition for p in assigned})

    async def on_partitions_revoked(self, revoked):
        """What was handled is committed before each fetch: nothing is left to do."""


def refuse_errors(rows):
    """aiokafka's admin returns error codes instead of raising them."""
    for code, text in rows:
        if code:
            raise for_code(code)(text)


class Driver:
    """Each method answers the command of its name."""

    def __init__(self, bootstrap, commands):
        self.bootstrap = bootstrap
        self.commands = commands
        self.admin = None
        self.producers = {}

    async def serve(self):
        self.admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await self.admin.start()
        while (command := await asyncio.to_thread(self.commands.next)) is not None:
            try:
                reply = await getattr(self, contract.method_name(command))(command)
                contract.send({"ok": True, **(reply or {})})
            except Exception as error:  # pylint: disable=broad-except
                contract.send({"ok": False, "error": f"{type(error).__name__}: {error}"})
        await self.admin.close()

    async def describe(self, _):
        return {"client": "aiokafka", "version": aiokafka.__version__}

    async def produce(self, command):
        more = {"max_request_size": command["max_bytes"] + 1000} if command.get("max_bytes") else {}
        codec = command.get("codec", "none")
        async with aiokafka.AIOKafkaProducer(
                bootstrap_servers=self.bootstrap, linger_ms=20, **more,
                compression_type=None if codec == "none" else codec,
                enable_idempotence=command.get("idempotent", False)) as producer:
            await self.send(producer, command["topic"], command["records"])

    @staticmethod
    async def send(producer, topic, records):
        sent = [await producer.send(
            topic, value=contract.decode(r["value"]), key=contract.decode(r["key"]),
            headers=contract.headers_of(r), partition=r["partition"],
            timestamp_ms=r.get("timestamp")) for r in records]
        await asyncio.gather(*sent)

    async def transactional(self, name, timeout_ms):
        producer = aiokafka.AIOKafkaProducer(bootstrap_servers=self.bootstrap,
                                             transactional_id=name,
                                             transaction_timeout_ms=timeout_ms)
        await producer.start()
        return producer

    async def transact(self, command):
        name = command["producer"]
        if name not in self.producers:
            self.producers[name] = await self.transactional(command["id"], command["timeout_ms"])
        producer = self.producers[name]
        actions = {
            "begin": lambda _: producer.begin_transaction(),
            "produce": lambda step: self.send(producer, step["topic"], step["records"]),
            "commit": lambda _: producer.commit_transaction(),
            "abort": lambda _: producer.abort_transaction(),
            "close": lambda _: self.producers.pop(name).stop(),
        }
        for step in command["steps"]:
            await actions[step["do"]](step)

    async def process(self, command):
        consumer = self.consumer(group_id=command["group"])
        consumer.subscribe([command["from"]])
        producer = await self.transactional(command["id"], PROCESS_TIMEOUT_MS)
        async with consumer:
            await producer.begin_transaction()
            offsets = {}
            for _ in range(command["count"]):
                record = await consumer.getone()
                await producer.send_and_wait(command["to"], record.value, record.key, 0)
                offsets[TopicPartition(record.topic, record.partition)] = record.offset + 1
            await producer.send_offsets_to_transaction(offsets, command["group"])
            if command["end"] == "commit":
                await producer.commit_transaction()
            else:
                await producer.abort_transaction()
        await producer.stop()

    def consumer(self, **more):
        return aiokafka.AIOKafkaConsumer(
            bootstrap_servers=self.bootstrap, auto_offset_reset="earliest",
            enable_auto_commit=False, **more)

    async def consume(self, command):
        limit = (command.get("max_bytes") or 0) + FETCH_BYTES
        consumer = self.consumer(max_partition_fetch_bytes=limit, **contract.isolation(command))
        async with consumer:
            found = await self.admin.describe_topics([command["topic"]])
            consumer.assign([TopicPartition(command["topic"], p["partition"])
                             for p in found[0]["partitions"]])
            await consumer.seek_to_beginning()
            patience, records = contract.Patience(command), []
            while len(records) < command["count"]:
                patience.check(records)
                for batch in (await consumer.getmany(timeout_ms=200)).values():
                    records += [contract.wire_record(r.partition, r.offset, r.timestamp, r.key,
                                                     r.value, r.headers) for r in batch]
        return {"records": records}

    async def group_consume(self, command):
        consumer = self.consumer(
            group_id=command["group"], group_instance_id=command["instance"],
            session_timeout_ms=command["session_timeout_ms"], heartbeat_interval_ms=500,
            partition_assignment_strategy=[RangePartitionAssignor])
        consumer.subscribe([command["topic"]], listener=Assignment())
        async with consumer:
            while not self.commands.waiting():
                batches = await consumer.getmany(timeout_ms=100)
                for batch in batches.values():
                    for record in batch:
                        contract.handled(record.partition, record.offset, record.value)
                if batches:
                    await consumer.commit()
        self.commands.next()

    async def commit(self, command):
        offsets = {TopicPartition(command["topic"], int(p)): OffsetAndMetadata(o, "")
                   for p, o in command["offsets"].items()}
        async with self.consumer(group_id=command["group"]) as consumer:
            consumer.assign(list(offsets))
            await consumer.commit(offsets)

    async def committed(self, command):
        wanted = [TopicPartition(command["topic"], p) for p in command["partitions"]]
        found = await self.admin.list_consumer_group_offsets(command["group"], partitions=wanted)
        return {"offsets": {str(p.partition): found[p].offset for p in wanted}}

    async def list_offsets(self, command):
        at = command["at"]
        wanted = TopicPartition(command["topic"], command["partition"])
        async with self.consumer() as consumer:
            if at == "earliest":
                return {"offset": (await consumer.beginning_offsets([wanted]))[wanted]}
            if at == "latest":
                return {"offset": (await consumer.end_offsets([wanted]))[wanted]}
            found = (await consumer.offsets_for_times({wanted: at}))[wanted]
            return {"offset": found.offset if found else -1}

    async def create_topic(self, command):
        done = await self.admin.create_topics([NewTopic(
            command["topic"], command["partitions"], 1, topic_configs=command["config"])])
        refuse_errors((row[1], row[2]) for row in done.topic_errors)

    async def delete_topic(self, command):
        done = await self.admin.delete_topics([command["topic"]])
        refuse_errors((row[1], row[0]) for row in done.topic_error_codes)

    async def list_topics(self, _):
        return {"topics": await self.admin.list_topics()}

    async def describe_topic(self, command):
        found = await self.admin.describe_topics([command["topic"]])
        return {"partitions": len(found[0]["partitions"])}

    async def entries(self, topic):
        (found,) = await self.admin.describe_configs([
            ConfigResource(ConfigResourceType.TOPIC, topic)])
        ((code, text, _, _, entries),) = found.resources
        refuse_errors([(code, text)])
        return entries

    async def describe_config(self, command):
        return {"config": {e[0]: e[1] for e in await self.entries(command["topic"])}}

    async def alter_config(self, command):
        """aiokafka has only the call that replaces a topic's whole config."""
        kept = {e[0]: e[1] for e in await self.entries(command["topic"])
                if e[3] == DYNAMIC_TOPIC_CONFIG}
        (done,) = await self.admin.alter_configs([ConfigResource(
            ConfigResourceType.TOPIC, command["topic"], {**kept, **command["config"]})])
        refuse_errors((row[0], row[1]) for row in done.resources)

    async def add_partitions(self, command):
        done = await self.admin.create_partitions({
            command["topic"]: NewPartitions(command["count"])})
        refuse_errors((row[1], row[2]) for row in done.topic_errors)

    async def list_groups(self, _):
        return {"groups": [row[0] for row in await self.admin.list_consumer_groups()]}

    async def describe_group(self, command):
        (found,) = await self.admin.describe_consumer_groups([command["group"]])
        (group,) = found.groups
        return {"state": group[2], "members": len(group[5])}


if __name__ == "__main__":
    asyncio.run(Driver(sys.argv[1], contract.Commands()).serve())
