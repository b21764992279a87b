"""A librdkafka client of the crash loop: `client.py ROLE BOOTSTRAP NAME HISTORY SEED LIFE RATE`.

ROLE is produce (idempotent, acks=all), copy (consume-process-produce in transactions, protocol
version 1), read (a member of a group that reads committed records) or fill (one record for each
partition). LIFE tells its executions apart; at RATE 1 it takes its time, at RATE n it writes n
times as much. It works until its standard input ends, writes its history as tests/oracle says, and
exits 0 unless it was told something that a client cannot live with. CRASH_DEBUG, librdkafka's
"debug", makes it tell what it does.
"""

import json
import os
import random
import sys
import threading

import confluent_kafka as kafka

IN = "in"
PARTITION_COUNT = 3
ABORT_SHARE = 0.15
SLOW_SHARE = 0.1   # of the transactions: their offsets are sent late
SLOW_S = 0.1
BATCH_MAX = 60
BATCH_RATE_MAX = 10
PACE_S = 0.02  # between two handfuls of records: the log is tested, not its throughput
HANDFUL = 8
KEY_SIZE_MAX = 6000  # of keys that only fill segments, so that these roll between kills
FLUSH_S = 60   # for the last records to be acknowledged
CALL_S = 3     # for one call of a transaction
CALL_TRIES = 2
# When its connection dies at the wrong moment, librdkafka 2.16 never sends the second half of
# send_offsets_to_transaction, and the call ignores its time-out. So a copier that has been silent
# for this long is executed anew, as a supervisor would do; nobody knows what became of its
# transaction.
HUNG_S = 8
COMMON = {"reconnect.backoff.ms": 20, "reconnect.backoff.max.ms": 100, "log_level": 2,
          "socket.timeout.ms": 10000, "retry.backoff.ms": 20, "retry.backoff.max.ms": 200}


class Client:
    """What the roles share: the history, the end, the settings."""

    def __init__(self, bootstrap, name, path, seed, life, rate):
        self.name = name
        self.life = life
        self.rate = int(rate)
        self.random = random.Random(f"{seed}-{name}-{life}")
        self.common = {**COMMON, "bootstrap.servers": bootstrap, "client.id": name}
        if "CRASH_DEBUG" in os.environ:
            self.common.update(debug=os.environ["CRASH_DEBUG"], log_level=7)
        self.history = open(path, "a", encoding="utf-8", buffering=1)
        self.lock = threading.Lock()
        self.ended = threading.Event()
        threading.Thread(target=self._await_end, daemon=True).start()

    def _await_end(self):
        sys.stdin.read()
        self.ended.set()

    def await_progress(self):
        """Begins this process anew when it hangs."""
        self.progress = threading.Event()
        threading.Thread(target=self._watch_progress, daemon=True).start()

    def _watch_progress(self):
        while self.progress.wait(HUNG_S):
            self.progress.clear()
        self.note("hung")
        sys.argv[-2] += "x"  # another life
        os.execv(sys.executable, [sys.executable, *sys.argv])

    def note(self, op, **event):
        with self.lock:
            self.history.write(json.dumps({"op": op, **event}) + "\n")

    def on_delivery(self, error, message):
        if error is None:
            self.note("ack", topic=message.topic(), partition=message.partition(),
                      offset=message.offset(), value=message.value().decode())

    def note_assigned(self, _, partitions):
        for part in partitions:
            self.note("assign", topic=part.topic, partition=part.partition)

    def consumer(self, group, topics):
        consumer = kafka.Consumer({
            **self.common, "group.id": group, "enable.auto.commit": False,
            "auto.offset.reset": "earliest", "isolation.level": "read_committed",
            "session.timeout.ms": 3000, "heartbeat.interval.ms": 500,
            "fetch.wait.max.ms": 100, "fetch.error.backoff.ms": 20})
        consumer.subscribe(topics, on_assign=self.note_assigned)
        return consumer

    def records(self, consumer, count):
        """Records that came within a moment; what went wrong meanwhile is tried again."""
        return [m for m in consumer.consume(count, 0.1) if m.error() is None]

    def handed(self, consumer, count):
        """The same one by one: what was handed out was so under the assignment noted last."""
        for number in range(count):
            message = consumer.poll(0 if number else 0.1)
            if message is None:
                return
            if message.error() is None:
                yield message


def produce(client):
    producer = kafka.Producer({**client.common, "enable.idempotence": True, "acks": "all",
                               "linger.ms": 2, "message.timeout.ms": 0})
    number = 0
    while not client.ended.is_set():
        for _ in range(client.rate * client.random.randint(1, HANDFUL)):
            value = f"{client.name}.{client.life}-{number}"
            number += 1
            client.note("send", topic=IN, value=value)
            producer.produce(IN, value.encode(), b"k" * client.random.randrange(KEY_SIZE_MAX),
                             client.random.randrange(PARTITION_COUNT), client.on_delivery)
        producer.poll(PACE_S)
        client.ended.wait(PACE_S)
    left = producer.flush(FLUSH_S)
    if left:
        sys.exit(f"{client.name}: {left} records are neither acknowledged nor refused")


class Copier:
    """One life of a transactional producer and its consumer; a fatal error begins the next."""

    def __init__(self, client):
        self.client = client
        kind = client.name.rstrip("0123456789")  # copiers of one kind share a group
        self.topic = f"out-{kind}"
        self.producer = kafka.Producer({
            **client.common, "transactional.id": f"txn-{client.name}", "linger.ms": 2,
            "transaction.timeout.ms": 20000, "message.timeout.ms": 15000})
        self.insist(self.producer.init_transactions)
        self.input = client.consumer(f"copy-{kind}", [IN])

    def insist(self, call, *arguments):
        """Repeats a call that may be repeated, says the client, but not for ever."""
        for left in reversed(range(CALL_TRIES)):
            try:
                call(*arguments, CALL_S)
                return
            except kafka.KafkaException as error:
                if not left or not error.args[0].retriable():
                    raise

    def close(self):
        self.input.close()

    def send(self, txn, batch):
        for number, message in enumerate(batch):
            value = f"{txn}/{number}"
            self.client.note("send", topic=self.topic, value=value, txn=txn, source=[
                message.topic(), message.partition(), message.offset()])
            # A source's copies go to one partition, so that what was aborted is followed there.
            self.producer.produce(self.topic, value.encode(), partition=message.offset() % 2,
                                  on_delivery=self.client.on_delivery)

    def copy(self, txn, batch):
        """One transaction; how it ended, as far as this client was told."""
        is_meant = self.client.random.random() >= ABORT_SHARE
        try:
            self.producer.begin_transaction()
            self.send(txn, batch)
            after = {}
            for message in batch:
                after[message.partition()] = message.offset() + 1
            if self.client.random.random() < SLOW_SHARE:
                self.client.note("slow", txn=txn)
                self.client.ended.wait(SLOW_S)
            self.insist(self.producer.send_offsets_to_transaction,
                        [kafka.TopicPartition(IN, p, o) for p, o in sorted(after.items())],
                        self.input.consumer_group_metadata())
            if is_meant:
                self.insist(self.producer.commit_transaction)
                return "committed"
        except kafka.KafkaException as error:
            if not error.args[0].txn_requires_abort():
                return "unknown"
        try:
            self.insist(self.producer.abort_transaction)
            return "aborted"
        except kafka.KafkaException:
            return "unknown"

    def rewind(self, batch):
        """Back to where the batch began. False: the group has moved on, begin anew."""
        first = {}
        for message in batch:
            first.setdefault(message.partition(), message.offset())
        try:
            for partition, offset in first.items():
                self.input.seek(kafka.TopicPartition(IN, partition, offset))
            return True
        except kafka.KafkaException:
            return False


def copy(client):
    copier, number = None, 0
    client.await_progress()
    while not client.ended.is_set():
        client.progress.set()
        if copier is None:
            try:
                copier = Copier(client)
            except kafka.KafkaException:
                continue  # nobody answered in time: another try
        most = BATCH_MAX * min(client.rate, BATCH_RATE_MAX)
        batch = client.records(copier.input, client.random.randint(1, most))
        if not batch:
            continue
        number += 1
        txn = f"{client.name}.{client.life}.{number}"
        how = copier.copy(txn, batch)
        client.note("end", txn=txn, how=how)
        if how == "unknown" or how == "aborted" and not copier.rewind(batch):
            copier.close()
            copier = None
    client.progress.set()
    if copier is not None:
        copier.close()


def read(client):
    topics = [IN, "out-python", "out-java", "out-go"]
    consumer = client.consumer("readers", topics)
    is_behind = False
    while not client.ended.is_set():
        for message in client.handed(consumer, BATCH_MAX * client.rate):
            is_behind = True
            client.note("read", reader="readers", topic=message.topic(),
                        partition=message.partition(), offset=message.offset(),
                        value=message.value().decode())
        try:
            if is_behind:
                consumer.commit(asynchronous=False)
                is_behind = False
        except kafka.KafkaException as error:
            # Nothing to commit: the partitions went to another member. Else it is tried again.
            is_behind = error.args[0].code() != kafka.KafkaError._NO_OFFSET
    consumer.close()


def fill(client):
    """A record for each partition of each topic there is, and the end."""
    producer = kafka.Producer({**client.common, "enable.idempotence": True, "acks": "all",
                               "linger.ms": 20})
    for name, topic in sorted(producer.list_topics().topics.items()):
        for partition in () if name.startswith("__") else topic.partitions:
            value = f"{client.name}-{name}-{partition}"
            client.note("send", topic=name, value=value)
            producer.produce(name, value.encode(), partition=partition,
                             on_delivery=client.on_delivery)
            producer.poll(0)
    left = producer.flush(FLUSH_S)
    if left:
        sys.exit(f"{client.name}: {left} records are neither acknowledged nor refused")


def main():
    role, *settings = sys.argv[1:]
    {"produce": produce, "copy": copy, "read": read, "fill": fill}[role](Client(*settings))


if __name__ == "__main__":
    main()
