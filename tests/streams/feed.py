"""Writes the inputs with an idempotent producer: `feed.py BOOTSTRAP SEED BASE_MS`.

Writes the customers and says "loaded"; at a line on its standard input it writes events, at times
from BASE_MS on, until that ends; then it says how many there were. Exits 0 if all are acknowledged.
"""

import sys
import threading

import confluent_kafka as kafka

import inputs

PACE_S = 0.05
HANDFUL = 15
FLUSH_S = 60


def make_producer(bootstrap):
    return kafka.Producer({
        "bootstrap.servers": bootstrap, "enable.idempotence": True, "acks": "all", "linger.ms": 5,
        "message.timeout.ms": 0, "log_level": 2, "reconnect.backoff.ms": 20,
        "reconnect.backoff.max.ms": 100, "retry.backoff.ms": 20, "retry.backoff.max.ms": 200,
        # Java's partitioner: what is joined must lie in partitions of the same number.
        "partitioner": "murmur2_random"})


def say(line):
    print(line, flush=True)


def flush(producer):
    left = producer.flush(FLUSH_S)
    if left:
        sys.exit(f"{left} records are neither acknowledged nor refused")


def main():
    bootstrap, seed, base = sys.argv[1:]
    producer = make_producer(bootstrap)

    def send(event):
        producer.produce(event.topic, event.value, event.key, timestamp=int(base) + event.time)

    for event in inputs.customers():
        send(event)
    flush(producer)
    say("loaded")
    sys.stdin.readline()
    ended = threading.Event()
    threading.Thread(target=lambda: sys.stdin.read() or ended.set(), daemon=True).start()
    number = 0
    while not ended.wait(PACE_S):
        for _ in range(HANDFUL):
            number += 1
            send(inputs.event(seed, number))
        producer.poll(0)
    flush(producer)
    say(number)


if __name__ == "__main__":
    main()
