"""Reads topics to their ends as a reader of committed records: `committed.py BOOTSTRAP PASS
HISTORY TOPIC:PARTITIONS...`. Writes a "final" line for each record, as tests/oracle says."""

import json
import sys
import time

import confluent_kafka as kafka

END_S = 60


def main():
    bootstrap, number, path, *topics = sys.argv[1:]
    consumer = kafka.Consumer({
        "bootstrap.servers": bootstrap, "group.id": "final", "enable.auto.commit": False,
        "isolation.level": "read_committed", "enable.partition.eof": True})
    parts = [kafka.TopicPartition(topic, partition, kafka.OFFSET_BEGINNING)
             for topic, count in (t.split(":") for t in topics)
             for partition in range(int(count))]
    consumer.assign(parts)
    left = {(part.topic, part.partition) for part in parts}
    end = time.monotonic() + END_S
    with open(path, "w", encoding="utf-8") as history:
        while left and time.monotonic() < end:
            for message in consumer.consume(1000, 0.2):
                if message.error() is None:
                    history.write(json.dumps({
                        "op": "final", "pass": int(number), "topic": message.topic(),
                        "partition": message.partition(), "offset": message.offset(),
                        "value": message.value().decode()}) + "\n")
                elif message.error().code() == kafka.KafkaError._PARTITION_EOF:
                    left.discard((message.topic(), message.partition()))
    consumer.close()
    if left:
        sys.exit(f"no end within {END_S} s: {sorted(left)}")


if __name__ == "__main__":
    main()
