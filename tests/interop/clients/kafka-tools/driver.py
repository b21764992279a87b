"""Kafka's command line tools behind the command contract: each command runs one of them.

The group member is kafka-verifiable-consumer, which reports what it is assigned, reads and
commits; the console consumer does not say.
"""

import json
import os
import re
import selectors
import subprocess
import sys
import tempfile

import contract

WAIT_S = 35
JVM = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
       "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
TOOLS = "org.apache.kafka.tools."
NULL = "[null]"  # no payload of the checks is this
FIELD_END = "\x1f"


def argv(main, *args):
    return ["java", *JVM, "-cp", os.path.join(os.environ["INTEROP_JARS"], "*"), main, *args]


def first_error(text):
    lines = [line for line in text.splitlines() if re.search("error|exception", line, re.I)]
    return lines[0] if lines else text.strip()


def text_of(data):
    return NULL if data is None else contract.decode(data).decode()


def bytes_of(text):
    return None if text == NULL else text.encode()


class Driver:
    """Each method answers the command of its name."""

    def __init__(self, bootstrap, commands):
        self.bootstrap = bootstrap
        self.commands = commands

    def run(self, main, *args, stdin=""):
        done = subprocess.run(argv(main, "--bootstrap-server", self.bootstrap, *args),
                              input=stdin.encode(), capture_output=True, timeout=WAIT_S,
                              check=False)
        out, err = done.stdout.decode(), done.stderr.decode()
        if done.returncode or "ERROR" in err:
            raise RuntimeError(first_error(err or out))
        return out

    def describe(self, _):
        out = self.run(TOOLS + "TopicCommand", "--version")
        return {"client": "kafka-tools", "version": out.split()[0]}

    def produce(self, command):
        def line(record):
            headers = ",".join(f"{name}:{text_of(value)}" for name, value in record["headers"])
            return FIELD_END.join([headers or NULL, text_of(record["key"]),
                                   text_of(record["value"])]) + "\n"

        properties = {"enable.idempotence": str(command.get("idempotent", False)).lower()}
        if command.get("max_bytes"):
            properties["max.request.size"] = command["max_bytes"] + 1000
        reader = {"parse.key": "true", "parse.headers": "true", "key.separator": FIELD_END,
                  "headers.delimiter": FIELD_END, "null.marker": NULL}
        args = ["--topic", command["topic"], "--compression-codec", command.get("codec", "none")]
        for name, value in properties.items():
            args += ["--command-property", f"{name}={value}"]
        for name, value in reader.items():
            args += ["--reader-property", f"{name}={value}"]
        self.run(TOOLS + "ConsoleProducer", *args, stdin="".join(map(line, command["records"])))

    def consume(self, command):
        shown = {f"print.{name}": "true"
                 for name in ("timestamp", "partition", "offset", "headers", "key", "value")}
        shown.update({"key.separator": FIELD_END, "null.literal": NULL})
        args = ["--topic", command["topic"], "--from-beginning",
                "--max-messages", str(command["count"]),
                "--timeout-ms", str(command["timeout_ms"]),
                "--isolation-level", command.get("isolation", "read_uncommitted")]
        for name, value in shown.items():
            args += ["--formatter-property", f"{name}={value}"]
        out = self.run(TOOLS + "consumer.ConsoleConsumer", *args)
        records = [self.parse_record(line) for line in out.split("\n") if line]
        if len(records) != command["count"]:
            raise TimeoutError(f"got {len(records)} of {command['count']} records in time")
        return {"records": records}

    @staticmethod
    def parse_record(line):
        timestamp, partition, offset, headers, key, value = line.split(FIELD_END)
        pairs = [] if headers == "NO_HEADERS" else [h.split(":", 1) for h in headers.split(",")]
        return contract.wire_record(
            int(partition.removeprefix("Partition:")), int(offset.removeprefix("Offset:")),
            int(timestamp.split(":")[1]), bytes_of(key), bytes_of(value),
            [(name, bytes_of(text)) for name, text in pairs])

    def group_consume(self, command):
        cooperative = command["strategy"] == "cooperative"
        args = ["--bootstrap-server", self.bootstrap, "--topic", command["topic"],
                "--group-id", command["group"], "--verbose",
                "--session-timeout", str(command["session_timeout_ms"]),
                "--assignment-strategy", "org.apache.kafka.clients.consumer."
                + ("CooperativeStickyAssignor" if cooperative else "RangeAssignor")]
        if command["instance"]:
            args += ["--group-instance-id", command["instance"]]
        with tempfile.NamedTemporaryFile("w", suffix=".properties") as config:
            config.write("heartbeat.interval.ms=500\n")
            config.flush()
            args += ["--command-config", config.name]
            with subprocess.Popen(argv(TOOLS + "VerifiableConsumer", *args), bufsize=0,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as child:
                self.follow(child)
        self.commands.next()
        if child.returncode not in (0, 143):
            raise RuntimeError(f"kafka-verifiable-consumer ended with {child.returncode}")

    @staticmethod
    def follow(child):
        owned, buffer = set(), b""
        with selectors.DefaultSelector() as selector:
            selector.register(child.stdout, selectors.EVENT_READ, "events")
            selector.register(0, selectors.EVENT_READ, "stop")
            while True:
                ready = {key.data: key for key, _ in selector.select()}
                if "stop" in ready:
                    child.terminate()
                    selector.unregister(0)
                if "events" not in ready:
                    continue
                data = child.stdout.read(1 << 16)
                if not data:
                    return
                *lines, buffer = (buffer + data).split(b"\n")
                for line in lines:
                    report(json.loads(line), owned)

    def groups(self, *args):
        return self.run(TOOLS + "consumer.group.ConsumerGroupCommand", *args)

    def commit(self, command):
        for partition, offset in command["offsets"].items():
            out = self.groups("--group", command["group"], "--reset-offsets", "--execute",
                              "--topic", f"{command['topic']}:{partition}",
                              "--to-offset", str(offset))
            if not re.search(rf"\b{partition} +{offset}\b", out):
                raise RuntimeError(f"the tool does not confirm the offset: {out}")

    def committed(self, command):
        out = self.groups("--group", command["group"], "--describe", "--offsets")
        rows = [line.split() for line in out.splitlines()]
        found = {row[2]: int(row[3]) for row in rows
                 if len(row) > 3 and row[:2] == [command["group"], command["topic"]]}
        return {"offsets": {str(p): found.get(str(p), -1) for p in command["partitions"]}}

    def list_groups(self, _):
        return {"groups": self.groups("--list").split()}

    def describe_group(self, command):
        out = self.groups("--group", command["group"], "--describe", "--state")
        row = next(r.split() for r in out.splitlines() if r.startswith(command["group"]))
        return {"state": row[-2], "members": int(row[-1])}

    def delete_group(self, command):
        out = self.groups("--group", command["group"], "--delete")
        if "successful" not in out:
            raise RuntimeError(out)

    def list_offsets(self, command):
        out = self.run(TOOLS + "GetOffsetShell", "--time", str(command["at"]),
                       "--topic-partitions", f"{command['topic']}:{command['partition']}")
        return {"offset": int(out.strip().rsplit(":", 1)[1])}

    def topics(self, *args):
        return self.run(TOOLS + "TopicCommand", *args)

    def create_topic(self, command):
        args = ["--create", "--topic", command["topic"],
                "--partitions", str(command["partitions"])]
        for name, value in command["config"].items():
            args += ["--config", f"{name}={value}"]
        self.topics(*args)

    def delete_topic(self, command):
        self.topics("--delete", "--topic", command["topic"])

    def list_topics(self, _):
        return {"topics": self.topics("--list").split()}

    def describe_topic(self, command):
        out = self.topics("--describe", "--topic", command["topic"])
        return {"partitions": int(re.search(r"PartitionCount: (\d+)", out)[1])}

    def add_partitions(self, command):
        self.topics("--alter", "--topic", command["topic"], "--partitions", str(command["count"]))

    def configs(self, topic, *args):
        return self.run("kafka.admin.ConfigCommand", "--entity-type", "topics",
                        "--entity-name", topic, *args)

    def describe_config(self, command):
        out = self.configs(command["topic"], "--describe", "--all")
        found = re.findall(r"^  ([a-z.]+)=(.*?) sensitive=", out, re.MULTILINE)
        return {"config": dict(found)}

    def alter_config(self, command):
        changes = ",".join(f"{name}={value}" for name, value in command["config"].items())
        self.configs(command["topic"], "--alter", "--add-config", changes)


def report(event, owned):
    """An event of kafka-verifiable-consumer in the contract's words."""
    if event["name"] in ("partitions_assigned", "partitions_revoked"):
        numbers = {p["partition"] for p in event["partitions"]}
        if event["name"] == "partitions_assigned":
            owned |= numbers
        else:
            owned -= numbers
        contract.assigned(owned)
    elif event["name"] == "record_data":
        contract.handled(event["partition"], event["offset"], event["value"].encode())


if __name__ == "__main__":
    stdin = contract.Commands()
    contract.serve(Driver(sys.argv[1], stdin), stdin)
