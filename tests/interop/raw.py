"""A tiny reader of Kafka's protocol: what the broker really stores, seen without any client.

Only old, non-flexible versions that Kafka 4.3 still accepts are used, so a request is a dozen
lines. One instance is one connection for one thread.
"""

import dataclasses
import socket
import struct
import sys

import process
import toolchains

sys.path.insert(0, str(toolchains.ROOT / "tests" / "support"))
from kafka_wire import BATCH_HEADER  # pylint: disable=wrong-import-position

API_FETCH, API_LIST_OFFSETS, API_METADATA = 1, 2, 3
API_OFFSET_FETCH, API_CREATE_TOPICS, API_DELETE_TOPICS = 9, 19, 20
API_DESCRIBE_GROUPS, API_DELETE_RECORDS, API_DESCRIBE_CONFIGS = 15, 21, 32
API_DESCRIBE_TRANSACTIONS = 65

CODECS = ("none", "gzip", "snappy", "lz4", "zstd")
EARLIEST, LATEST = -2, -1
READ_COMMITTED = 1
BUSY = {5, 14, 15, 16}  # leader or coordinator not there yet: ask again
UNKNOWN_TOPIC = 3
RESOURCE_TOPIC = 2
IO_S = 30
SETTLE_S = 30


class KafkaError(Exception):
    """An error code where none was expected."""

    def __init__(self, what, code, text=None):
        super().__init__(f"{what}: error code {code}" + (f" ({text})" if text else ""))
        self.code = code


@dataclasses.dataclass
class Batch:
    """The header of one stored record batch (format v2)."""

    base_offset: int
    magic: int
    codec: str
    log_append_time: bool
    count: int
    max_timestamp: int
    producer_id: int
    base_sequence: int


class Reader:
    """Decodes the primitive types of a response."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, fmt):
        (value,) = struct.unpack_from(">" + fmt, self.data, self.at)
        self.at += struct.calcsize(">" + fmt)
        return value

    def bytes_of(self, size):
        if size < 0:
            return None
        self.at += size
        return self.data[self.at - size:self.at]

    def string(self):
        raw = self.bytes_of(self.take("h"))
        return None if raw is None else raw.decode()

    def array(self, item):
        return [item() for _ in range(max(0, self.take("i")))]


def pack_string(text):
    if text is None:
        return struct.pack(">h", -1)
    data = text.encode()
    return struct.pack(">h", len(data)) + data


def pack_array(items):
    return struct.pack(">i", len(items)) + b"".join(items)


def pack_topic(topic, partitions):
    """An array with one topic, which is an array of already packed partitions."""
    return pack_array([pack_string(topic) + pack_array(partitions)])


def parse_batches(data):
    """The headers of the whole batches in a fetched span; a cut last batch is left out."""
    batches, at = [], 0
    while at + BATCH_HEADER.size <= len(data):
        (base, length, _, magic, _, attributes, _, _, max_timestamp, producer_id, _,
         sequence, count) = BATCH_HEADER.unpack_from(data, at)
        at += 12 + length
        if at > len(data):
            break
        batches.append(Batch(base, magic, CODECS[attributes & 7], bool(attributes & 8), count,
                             max_timestamp, producer_id, sequence))
    return batches


class Raw:
    """One connection to one broker that leads and coordinates everything."""

    def __init__(self, host, port):
        self.conn = socket.create_connection((host, port), IO_S)
        self.correlation = 0

    def close(self):
        self.conn.close()

    def call(self, api, version, body):
        self.correlation += 1
        request = struct.pack(">hhi", api, version, self.correlation)
        request += pack_string("interop-raw") + body
        self.conn.sendall(struct.pack(">i", len(request)) + request)
        reader = Reader(self._receive(struct.unpack(">i", self._receive(4))[0]))
        if reader.take("i") != self.correlation:
            raise ValueError("an answer with another request's correlation id")
        return reader

    def _receive(self, size):
        data = bytearray()
        while len(data) < size:
            chunk = self.conn.recv(size - len(data))
            if not chunk:
                raise ConnectionError("the broker closed the connection")
            data += chunk
        return bytes(data)

    def create_topic(self, topic, partitions=1, config=None):
        configs = [pack_string(k) + pack_string(str(v)) for k, v in (config or {}).items()]
        wanted = pack_string(topic) + struct.pack(">ih", partitions, 1)
        wanted += pack_array([]) + pack_array(configs)
        body = pack_array([wanted]) + struct.pack(">i?", 30000, False)
        reader = self.call(API_CREATE_TOPICS, 2, body)
        reader.take("i")
        for name, code, text in reader.array(
                lambda: (reader.string(), reader.take("h"), reader.string())):
            if code:
                raise KafkaError(f"create topic {name}", code, text)
        process.poll_until(lambda: self.partition_count(topic) == partitions, SETTLE_S,
                           f"leaders of {topic}")

    def delete_topic(self, topic):
        body = pack_array([pack_string(topic)]) + struct.pack(">i", 30000)
        reader = self.call(API_DELETE_TOPICS, 1, body)
        reader.take("i")
        for name, code in reader.array(lambda: (reader.string(), reader.take("h"))):
            if code:
                raise KafkaError(f"delete topic {name}", code)

    def partition_count(self, topic):
        """Partitions that have a leader; 0 when there is no such topic."""
        body = pack_array([pack_string(topic)]) + struct.pack(">?", False)
        reader = self.call(API_METADATA, 4, body)
        reader.take("i")
        reader.array(lambda: (reader.take("i"), reader.string(), reader.take("i"),
                              reader.string()))
        reader.string()
        reader.take("i")

        def partition():
            code, _, leader = reader.take("h"), reader.take("i"), reader.take("i")
            reader.array(lambda: reader.take("i"))
            reader.array(lambda: reader.take("i"))
            return code == 0 and leader >= 0

        def described():
            code, name, _ = reader.take("h"), reader.string(), reader.take("?")
            return code, name, sum(reader.array(partition))

        for code, _, count in reader.array(described):
            if code and code not in BUSY | {UNKNOWN_TOPIC}:
                raise KafkaError(f"metadata of {topic}", code)
            return count
        return 0

    def fetch(self, topic, partition, offset, max_bytes=1 << 26):
        """The stored bytes from an offset on, as sent."""
        body = struct.pack(">iiiib", -1, 0, 1, max_bytes, 0) + pack_topic(
            topic, [struct.pack(">iqi", partition, offset, max_bytes)])
        reader = self.call(API_FETCH, 4, body)
        reader.take("i")

        def one():
            _, code = reader.take("i"), reader.take("h")
            reader.take("q"), reader.take("q")
            reader.array(lambda: (reader.take("q"), reader.take("q")))
            return code, reader.bytes_of(reader.take("i")) or b""

        ((code, records),) = reader.array(lambda: (reader.string(), reader.array(one)))[0][1]
        if code:
            raise KafkaError(f"fetch {topic}-{partition} at {offset}", code)
        return records

    def batches(self, topic, partition=0):
        """The headers of all batches of a partition."""
        found, offset = [], self.list_offset(topic, partition, EARLIEST)
        end = self.list_offset(topic, partition, LATEST)
        while offset < end:
            part = parse_batches(self.fetch(topic, partition, offset))
            if not part:
                raise ValueError(f"{topic}-{partition} gives no batch at {offset}, end is {end}")
            found += part
            offset = part[-1].base_offset + part[-1].count
        return found

    def list_offset(self, topic, partition, timestamp):
        body = struct.pack(">i", -1) + pack_topic(topic, [struct.pack(">iq", partition, timestamp)])
        reader = self.call(API_LIST_OFFSETS, 1, body)

        def one():
            return (reader.take("i"), reader.take("h"), reader.take("q"), reader.take("q"))

        ((_, code, _, offset),) = reader.array(lambda: (reader.string(), reader.array(one)))[0][1]
        if code:
            raise KafkaError(f"list offsets of {topic}-{partition}", code)
        return offset

    def stable_offset(self, topic, partition):
        """The last stable offset: up to where a read_committed reader may read."""
        body = struct.pack(">ib", -1, READ_COMMITTED) + pack_topic(
            topic, [struct.pack(">iq", partition, LATEST)])
        reader = self.call(API_LIST_OFFSETS, 2, body)
        reader.take("i")

        def one():
            return (reader.take("i"), reader.take("h"), reader.take("q"), reader.take("q"))

        ((_, code, _, offset),) = reader.array(lambda: (reader.string(), reader.array(one)))[0][1]
        if code:
            raise KafkaError(f"stable offset of {topic}-{partition}", code)
        return offset

    def ends(self, topic, partitions):
        return {p: self.list_offset(topic, p, LATEST) for p in range(partitions)}

    def committed(self, group, topic, partitions):
        """Committed offsets by partition, -1 where there is none."""
        return process.poll_until(lambda: self._committed(group, topic, partitions), SETTLE_S,
                                  f"the coordinator of {group}")

    def _committed(self, group, topic, partitions):
        body = pack_string(group) + pack_topic(
            topic, [struct.pack(">i", p) for p in range(partitions)])
        reader = self.call(API_OFFSET_FETCH, 1, body)

        def one():
            partition, offset, _ = reader.take("i"), reader.take("q"), reader.string()
            return partition, offset, reader.take("h")

        rows = reader.array(lambda: (reader.string(), reader.array(one)))[0][1]
        codes = {code for _, _, code in rows if code}
        if codes - BUSY:
            raise KafkaError(f"offsets of {group}", min(codes - BUSY))
        return None if codes else {p: offset for p, offset, _ in rows}

    def group_strategy(self, group):
        """The assignment strategy that the members of a classic group agreed on."""
        reader = self.call(API_DESCRIBE_GROUPS, 0, pack_array([pack_string(group)]))
        if reader.take("i") != 1:
            raise ValueError(f"{group} is not described once")
        code, _, _, _ = reader.take("h"), reader.string(), reader.string(), reader.string()
        if code:
            raise KafkaError(f"describe group {group}", code)
        return reader.string()

    def transaction_state(self, transactional_id):
        """The state of the id's transaction: Ongoing, PrepareCommit, CompleteCommit ..."""
        name = transactional_id.encode()
        # A flexible request: the header's tags, an array of one, its text, the tags.
        body = struct.pack(">BBB", 0, 2, len(name) + 1) + name + b"\0"
        reader = self.call(API_DESCRIBE_TRANSACTIONS, 0, body)
        reader.take("B")  # the header's tags
        _, count, code = reader.take("i"), reader.take("B"), reader.take("h")
        if code or count != 2:
            raise KafkaError(f"describe transaction {transactional_id}", code)
        reader.bytes_of(reader.take("B") - 1)
        return reader.bytes_of(reader.take("B") - 1).decode()

    def topic_config(self, topic):
        """All configs of a topic, as the broker gives them."""
        body = pack_array([struct.pack(">b", RESOURCE_TOPIC) + pack_string(topic)
                           + struct.pack(">i", -1)]) + struct.pack(">?", False)
        reader = self.call(API_DESCRIBE_CONFIGS, 1, body)
        reader.take("i")

        def entry():
            name, value = reader.string(), reader.string()
            reader.take("?"), reader.take("b"), reader.take("?")
            reader.array(lambda: (reader.string(), reader.string(), reader.take("b")))
            return name, value

        def result():
            code, text = reader.take("h"), reader.string()
            reader.take("b"), reader.string()
            return code, text, dict(reader.array(entry))

        ((code, text, config),) = reader.array(result)
        if code:
            raise KafkaError(f"configs of {topic}", code, text)
        return config

    def delete_records(self, topic, partition, before):
        body = pack_topic(topic, [struct.pack(">iq", partition, before)]) + struct.pack(">i", 30000)
        reader = self.call(API_DELETE_RECORDS, 0, body)
        reader.take("i")

        def one():
            return reader.take("i"), reader.take("q"), reader.take("h")

        ((_, low, code),) = reader.array(lambda: (reader.string(), reader.array(one)))[0][1]
        if code or low != before:
            raise KafkaError(f"delete records of {topic}-{partition}", code, f"low mark {low}")
