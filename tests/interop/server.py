"""The broker under test: Headrace, or Apache Kafka as the proof that the suite is right."""

import pathlib

import kafka_node
import process

START_S = 20
STOP_S = 20
MAX_MESSAGE_BYTES = 9_000_000  # 8 MiB values fit; topics of the other checks set Kafka's default
# Both brokers', so that what they do in the background is soon done.
PROPERTIES = {"message.max.bytes": str(MAX_MESSAGE_BYTES), "log.cleaner.backoff.ms": "200",
              "log.retention.check.interval.ms": "200"}


class Headrace:
    """A Headrace process of our own on free ports."""

    exit_code = 0  # after SIGTERM

    def __init__(self, binary, data, stderr_path):
        self.logs = pathlib.Path(data)
        self.logs.mkdir(parents=True, exist_ok=True)
        settings = [item for k, v in PROPERTIES.items() for item in ("-X", f"{k}={v}")]
        self.child = process.Child(
            [binary, "serve", "--data", data, "--kafka", "127.0.0.1:0", "--http", "127.0.0.1:0",
             *settings], stderr_path)
        try:
            self.host, self.port = self._await_ready()
        except BaseException:
            self.child.kill()
            raise

    def _await_ready(self):
        line = self.child.read_line(process.Deadline(START_S))
        words = (line or b"").decode().split()
        if words[:2] != ["headrace", "ready"]:
            raise RuntimeError(f"expected the line 'headrace ready ...', got {line!r}\n"
                               + self.child.stderr_tail())
        return kafka_node.parse_address(dict(w.split("=", 1) for w in words[2:])["kafka"])

    def stop(self):
        return self.child.stop(seconds=STOP_S)


def start(kind, binary, data, logs):
    """Starts the named broker; the caller stops it.

    Both offer host, port, child, stop(), exit_code, and logs: the folder of the partitions.
    """
    if kind == "kafka":
        return kafka_node.KafkaNode(data / "kafka", overrides=PROPERTIES)
    return Headrace(binary, data / "headrace", logs / "broker.stderr")


def segment(server, topic, partition=0):
    """The first segment file of a partition, in Kafka's layout."""
    return server.logs / f"{topic}-{partition}" / ("0" * 20 + ".log")
