"""Reads topics to their ends as a reader of committed records: `dump.py BOOTSTRAP FILE PARTITIONS
TOPIC...`. Writes a JSON line for each record, its key and value byte by byte as text."""

import json
import sys
import time

import confluent_kafka as kafka

END_S = 60


def text(data):
    return None if data is None else data.decode("latin-1")


def main():
    bootstrap, path, count, *topics = sys.argv[1:]
    consumer = kafka.Consumer({
        "bootstrap.servers": bootstrap, "group.id": "dump", "enable.auto.commit": False,
        "isolation.level": "read_committed", "enable.partition.eof": True})
    parts = [kafka.TopicPartition(topic, partition, kafka.OFFSET_BEGINNING)
             for topic in topics for partition in range(int(count))]
    consumer.assign(parts)
    left = {(part.topic, part.partition) for part in parts}
    end = time.monotonic() + END_S
    with open(path, "w", encoding="utf-8") as lines:
        while left and time.monotonic() < end:
            for message in consumer.consume(1000, 0.2):
                if message.error() is None:
                    lines.write(json.dumps([message.topic(), message.partition(),
                                            text(message.key()), text(message.value())]) + "\n")
                elif message.error().code() == kafka.KafkaError._PARTITION_EOF:
                    left.discard((message.topic(), message.partition()))
    consumer.close()
    if left:
        sys.exit(f"no end within {END_S} s: {sorted(left)}")


if __name__ == "__main__":
    main()
