#!/usr/bin/env python3
"""One node of Apache Kafka (KRaft, broker and controller in one), from the jars of pom.xml.

The suite runs against it to show that the suite is right, and differential tests compare
Headrace with it. By hand:

    python3 tests/interop/kafka_node.py --data DIR [--kafka HOST:PORT] [-X key=value]

prints `kafka ready kafka=HOST:PORT` once it serves and ends at Ctrl-C or SIGTERM.
"""

import argparse
import pathlib
import signal
import socket
import struct

import process
import toolchains

START_S = 60
CLUSTER_ID = "aGVhZHJhY2UtaW50ZXJvcA"
JVM = ["-Xmx768m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"]

# As close to Headrace's own defaults as Kafka's properties allow, so that both answer alike.
PROPERTIES = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "inter.broker.listener.name": "PLAINTEXT",
    "num.partitions": "1",
    "offsets.topic.replication.factor": "1",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
    "group.initial.rebalance.delay.ms": "100",
    "log.initial.task.delay.ms": "1000",
}


def classpath():
    return str(toolchains.jars() / "*")


def java(main, *args, jvm=()):
    """The command line of a main class in Kafka's jars."""
    log = ["-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]
    return ["java", *JVM, *log, *jvm, "-cp", classpath(), main, *args]


def write_properties(data, host, port, overrides):
    properties = dict(PROPERTIES)
    controller = process.free_port()
    properties["listeners"] = f"PLAINTEXT://{host}:{port},CONTROLLER://127.0.0.1:{controller}"
    properties["advertised.listeners"] = f"PLAINTEXT://{host}:{port}"
    properties["controller.quorum.voters"] = f"1@127.0.0.1:{controller}"
    properties["log.dirs"] = str(data / "log")
    properties.update(overrides)
    path = data / "server.properties"
    path.write_text("".join(f"{k}={v}\n" for k, v in properties.items()))
    return path


def answers(host, port):
    """True once ApiVersions is answered, which a KRaft broker does only when it is unfenced."""
    request = struct.pack(">hhih", 18, 0, 1, -1)
    try:
        with socket.create_connection((host, port), 1) as conn:
            conn.settimeout(5)
            conn.sendall(struct.pack(">i", len(request)) + request)
            return len(conn.recv(4)) == 4
    except OSError:
        return False


class KafkaNode:
    """A running node. Owns its process, not its data folder."""

    exit_code = 143  # after SIGTERM: the JVM's

    def __init__(self, data, host="127.0.0.1", port=0, overrides=None, jvm=()):
        data = pathlib.Path(data).resolve()
        data.mkdir(parents=True, exist_ok=True)
        self.host, self.port = host, port or process.free_port()
        self.logs = data / "log"
        config = write_properties(data, self.host, self.port, overrides or {})
        self._format(config)
        self.child = process.Child(java("kafka.Kafka", config, jvm=jvm), data / "stderr.txt")
        try:
            process.poll_until(self._ready, START_S, "Apache Kafka's start")
        except process.Timeout as late:
            self.child.kill()
            raise RuntimeError(f"{late}\n{self.child.stderr_tail()}") from late
        except BaseException:
            self.child.kill()
            raise

    @staticmethod
    def _format(config):
        code, out, err = process.run(
            java("kafka.tools.StorageTool", "format", "--ignore-formatted",
                 "-t", CLUSTER_ID, "-c", config), START_S)
        if code != 0:
            raise RuntimeError(f"formatting Kafka's storage failed: {(out + err).decode()}")

    def _ready(self):
        if self.child.popen.poll() is not None:
            raise RuntimeError(f"Apache Kafka ended at start: {self.child.stderr_tail()}")
        return answers(self.host, self.port)

    def stop(self):
        return self.child.stop()


def parse_address(text):
    host, _, port = text.rpartition(":")
    return host, int(port)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--data", required=True)
    parser.add_argument("--kafka", default="127.0.0.1:0", metavar="HOST:PORT")
    parser.add_argument("-X", action="append", default=[], metavar="KEY=VALUE", dest="set")
    args = parser.parse_args()
    toolchains.build(["jars"])
    host, port = parse_address(args.kafka)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    node = KafkaNode(args.data, host, port, dict(item.split("=", 1) for item in args.set))
    try:
        print(f"kafka ready kafka={node.host}:{node.port}", flush=True)
        signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        node.stop()


if __name__ == "__main__":
    main()
