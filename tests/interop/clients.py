"""The clients under test: how each is built and started, and what each lacks, with the reason.

A feature that a client lacks is not tried; the reason stands in docs/clients.md. Nothing else is
ever left out: a feature without an entry here runs, and a missing toolchain is a failure.
"""

import dataclasses
import os
import pathlib
import sys

import toolchains

HERE = pathlib.Path(__file__).resolve().parent / "clients"

NO_ADMIN = "kcat has no command for it"
NOT_BOTH_NULL = "the client refuses a record with neither key nor value"
NO_TRANSACTIONS = "it has no transactional producer"
TOOLS_NO_OPTION = "the console producer has no option for it"


@dataclasses.dataclass
class Client:
    """One column of the table."""

    name: str
    title: str
    builds: list
    command: list  # the driver's argv, before the broker's address
    lacks: dict = dataclasses.field(default_factory=dict)
    relays: bool = False  # the driver passes on what a tool says that commits by itself

    def can(self, ability):
        return ability not in self.lacks

    def argv(self, address):
        return [*self.command, address]

    def env(self):
        env = dict(os.environ, PYTHONPATH=f"{HERE}:{HERE.parent}")
        env["INTEROP_JARS"] = str(toolchains.jars())
        return env


def python(name, interpreter=None):
    interpreter = interpreter or toolchains.OUT / "venv/bin/python"
    return [interpreter, HERE / name / "driver.py"]


CLIENTS = [
    Client(
        "java", "Java kafka-clients", ["jars", "java"],
        [*toolchains.java_command(f"{toolchains.OUT}/java"), "Driver"]),
    Client(
        "kafka-tools", "Kafka's tools", ["jars"], python("kafka-tools", sys.executable),
        relays=True,
        lacks={
            "timestamps": TOOLS_NO_OPTION,
            "transactions": NO_TRANSACTIONS, "txn-offsets": NO_TRANSACTIONS,
            "txn-fenced": NO_TRANSACTIONS, "txn-timeout": NO_TRANSACTIONS,
            "partitions-chosen": TOOLS_NO_OPTION,
            "values-binary": "the console tools read and write lines of text",
            "headers-binary": "the console tools read and write lines of text",
        }),
    Client(
        "kcat", "kcat", ["system"], python("kcat", sys.executable),
        relays=True,
        lacks={
            "timestamps": "kcat -P has no option for it",
            "transactions": NO_TRANSACTIONS, "txn-offsets": NO_TRANSACTIONS,
            "txn-fenced": NO_TRANSACTIONS, "txn-timeout": NO_TRANSACTIONS,
            "headers-binary": "kcat -H takes text",
            "null-both": "kcat -P leaves out an empty line without a key",
            "offsets-commit": "kcat commits only what a group member consumed",
            "offsets-reset": "kcat commits only what a group member consumed",
            "groups": NO_ADMIN, "group-delete": NO_ADMIN,
            "topics": NO_ADMIN, "configs": NO_ADMIN, "partitions": NO_ADMIN,
        }),
    Client(
        "librdkafka", "librdkafka (Debian)", ["system", "librdkafka"],
        [toolchains.OUT / "librdkafka/driver"]),
    Client("confluent-kafka", "confluent-kafka", ["venv"], python("confluent-kafka")),
    Client(
        "kafka-python", "kafka-python", ["venv"], python("kafka-python"),
        lacks={
            "header-nulls": "kafka-python 3.0.12 takes only bytes as a header's value",
            "null-both": NOT_BOTH_NULL,
        }),
    Client(
        "aiokafka", "aiokafka", ["venv"], python("aiokafka"),
        lacks={
            "null-both": NOT_BOTH_NULL,
            "group-cooperative": "aiokafka 0.14.0 rebalances eagerly only",
            "group-delete": "aiokafka 0.14.0 has no call for it",
        }),
    Client("franz-go", "franz-go", ["go"], [toolchains.OUT / "go/franz-go"]),
    Client("sarama", "sarama", ["go"], [toolchains.OUT / "go/sarama"]),
    Client(
        "kafkajs", "KafkaJS", ["kafkajs"],
        ["node", toolchains.OUT / "kafkajs/driver.mjs"],
        lacks={
            "header-order": "KafkaJS's headers are an object, which holds a name once",
            "header-nulls": "KafkaJS 2.2.4 takes only strings and buffers as a header's value",
            "group-static": "KafkaJS 2.2.4 has no group.instance.id",
            "group-cooperative": "KafkaJS 2.2.4 rebalances eagerly only",
        }),
    Client(
        "rdkafka", "rdkafka (Rust)", ["rdkafka"],
        [toolchains.OUT / "target/release/interop-rdkafka"]),
]


def by_name(name):
    for client in CLIENTS:
        if client.name == name:
            return client
    names = ", ".join(c.name for c in CLIENTS)
    raise SystemExit(f"no client named {name}; there are {names}")
