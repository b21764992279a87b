"""The few Kafka requests that tests and measurements send, by hand, in old and simple versions.

A Client is one blocking connection; requests can be sent ahead and answers read later.
"""

import socket
import struct
import time
import typing


def string(text):
    data = text.encode()
    return struct.pack(">h", len(data)) + data


def data(value):
    return struct.pack(">i", len(value)) + value


def array(items):
    return struct.pack(">i", len(items)) + b"".join(items)


def varint(number):
    number = (number << 1) ^ (number >> 63)
    out = b""
    while True:
        part = number & 0x7F
        number >>= 7
        if number == 0:
            return out + bytes([part])
        out += bytes([part | 0x80])


CRC_TABLE = []
for index in range(256):
    for _ in range(8):
        index = (index >> 1) ^ (0x82F63B78 if index & 1 else 0)
    CRC_TABLE.append(index)


def crc32c(content):
    crc = 0xFFFFFFFF
    for byte in content:
        crc = (crc >> 8) ^ CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def nullable(content):
    return varint(-1) if content is None else varint(len(content)) + content


def keyed_batch(pairs, producer=(-1, -1, -1), attributes=0, timestamp_ms=None):
    """A record batch v2 of keys and values, either of which may be None. producer: id, epoch,
    sequence."""
    timestamp_ms = int(time.time() * 1000) if timestamp_ms is None else timestamp_ms
    records = b""
    for delta, (key, value) in enumerate(pairs):
        body = b"\x00" + varint(0) + varint(delta) + nullable(key) + nullable(value) + varint(0)
        records += varint(len(body)) + body
    tail = struct.pack(">hiqqqhii", attributes, len(pairs) - 1, timestamp_ms, timestamp_ms,
                       *producer, len(pairs)) + records
    return struct.pack(">qiibI", 0, len(tail) + 9, -1, 2, crc32c(tail)) + tail


def batch(values, producer=(-1, -1, -1), attributes=0, timestamp_ms=None):
    """A record batch v2 of the values, without keys."""
    return keyed_batch([(None, value) for value in values], producer, attributes, timestamp_ms)


BATCH_HEADER = struct.Struct(">qiibIhiqqqhii")
CONTROL = 0x20


class Record(typing.NamedTuple):
    """One record of a batch, or, where is_control, a marker of a transaction."""

    offset: int
    key: bytes | None
    value: bytes | None
    is_control: bool


def read_varint(content, at):
    number, shift = 0, 0
    while True:
        byte = content[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), at
        shift += 7


def read_nullable(content, at):
    size, at = read_varint(content, at)
    return (None, at) if size < 0 else (content[at:at + size], at + size)


def records_of(content):
    """Each record of the whole batches in the bytes, which are not compressed."""
    at = 0
    while at + BATCH_HEADER.size <= len(content):
        head = BATCH_HEADER.unpack_from(content, at)
        base, end, attributes, count = head[0], at + 12 + head[1], head[5], head[12]
        at += BATCH_HEADER.size
        if end > len(content):
            return
        for _ in range(count):
            size, at = read_varint(content, at)
            after = at + size
            _, at = read_varint(content, at + 1)  # attributes, time
            delta, at = read_varint(content, at)
            key, at = read_nullable(content, at)
            value, _ = read_nullable(content, at)
            yield Record(base + delta, key, value, bool(attributes & CONTROL))
            at = after
        at = end


def metadata(topics):
    """Metadata v1: makes unknown topics where the broker allows it."""
    return 3, 1, array([string(t) for t in topics])


def create_topic(name, partitions, replication=1, configs=()):
    """CreateTopics v2."""
    pairs = [string(key) + string(value) for key, value in configs]
    topic = string(name) + struct.pack(">ih", partitions, replication) + array([]) + array(pairs)
    return 19, 2, array([topic]) + struct.pack(">ib", 30000, 0)


def produce_bytes(topic, partition, content, acks=-1):
    """Produce v3 of ready-made batches."""
    records = struct.pack(">i", partition) + data(content)
    return 0, 3, struct.pack(">hhi", -1, acks, 30000) + array([string(topic) + array([records])])


def produce(topic, partition, values, acks=-1):
    """Produce v3."""
    return produce_bytes(topic, partition, batch(values), acks)


def fetch(topic, partition, offset, wait_ms=0, bytes_min=1, bytes_max=1 << 20):
    """Fetch v4 of one partition."""
    part = struct.pack(">iqi", partition, offset, bytes_max)
    return 1, 4, (struct.pack(">iiiib", -1, wait_ms, bytes_min, bytes_max, 0)
                  + array([string(topic) + array([part])]))


def list_offsets(topic, partition, timestamp):
    """ListOffsets v4."""
    part = struct.pack(">iiq", partition, -1, timestamp)
    return 2, 4, struct.pack(">ib", -1, 0) + array([string(topic) + array([part])])


def find_coordinator(group):
    """FindCoordinator v0, which every client asks before it works with a group."""
    return 10, 0, string(group)


def commit_offset(group, topic, partition, offset):
    """OffsetCommit v2 by nobody in particular."""
    part = struct.pack(">iq", partition, offset) + string("note")
    return 8, 2, (string(group) + struct.pack(">i", -1) + string("") + struct.pack(">q", -1)
                  + array([string(topic) + array([part])]))


def fetch_offset(group, topic, partition):
    """OffsetFetch v1."""
    return 9, 1, string(group) + array([string(topic) + array([struct.pack(">i", partition)])])


def delete_topic(name):
    """DeleteTopics v1."""
    return 20, 1, array([string(name)]) + struct.pack(">i", 30000)


def delete_records(topic, partition, offset):
    """DeleteRecords v0."""
    part = struct.pack(">iq", partition, offset)
    return 21, 0, array([string(topic) + array([part])]) + struct.pack(">i", 30000)


def join_group(group, member, topics):
    """JoinGroup v3 (which needs no second round for a member id)."""
    subscription = struct.pack(">h", 0) + array([string(t) for t in topics]) + data(b"")
    protocol = string("range") + data(subscription)
    return 11, 3, (string(group) + struct.pack(">ii", 30000, 60000) + string(member)
                   + string("consumer") + array([protocol]))


def sync_group(group, generation, member, assignments):
    """SyncGroup v1; assignments: (member, bytes)."""
    return 14, 1, (string(group) + struct.pack(">i", generation) + string(member)
                   + array([string(m) + data(a) for m, a in assignments]))


class Reader:
    """Reads an answer field by field."""

    def __init__(self, content):
        self.content = content
        self.at = 0
        self.correlation = None

    def number(self, form):
        value, = struct.unpack_from(">" + form, self.content, self.at)
        self.at += struct.calcsize(">" + form)
        return value

    def string(self):
        size = self.number("h")
        return self.take(max(size, 0)).decode()

    def data(self):
        return self.take(max(self.number("i"), 0))

    def take(self, size):
        part = self.content[self.at:self.at + size]
        self.at += size
        return part


class Client:
    """One connection. Requests are (api key, version, body)."""

    def __init__(self, host, port):
        self.socket = socket.create_connection((host, port), timeout=60)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.correlation = 0

    def send(self, request):
        """Sends a request; a flexible one brings the end of its header in a fourth place."""
        key, version, body = request[:3]
        self.correlation += 1
        head = struct.pack(">hhi", key, version, self.correlation) + string("test")
        head += request[3] if len(request) > 3 else b""
        self.send_bytes(struct.pack(">i", len(head + body)) + head + body)

    def send_bytes(self, content):
        self.socket.sendall(content)

    def receive(self):
        size, = struct.unpack(">i", self.exactly(4))
        reader = Reader(self.exactly(size))
        reader.correlation = reader.number("i")
        return reader

    def ask(self, request):
        self.send(request)
        return self.receive()

    def exactly(self, size):
        content = b""
        while len(content) < size:
            part = self.socket.recv(size - len(content))
            if not part:
                raise ConnectionError("the broker closed the connection")
            content += part
        return content

    def close(self):
        self.socket.close()


def produce_answer(reader):
    """Error code and base offset of a one-partition Produce answer."""
    reader.number("i")
    reader.string()
    reader.number("i")
    reader.number("i")
    return reader.number("h"), reader.number("q")


def produce_error(reader):
    return produce_answer(reader)[0]


def fetch_answer(reader):
    """Error code, high watermark and record bytes of a one-partition Fetch v4 answer."""
    reader.number("i")
    reader.number("i")
    reader.string()
    reader.number("i")
    reader.number("i")
    error, watermark = reader.number("h"), reader.number("q")
    reader.number("q")
    for _ in range(max(reader.number("i"), 0)):
        reader.take(16)
    return error, watermark, reader.data()


def topic_answer(reader, throttled=True):
    """The one error code of answers shaped: topics: name, error code."""
    if throttled:
        reader.number("i")
    reader.number("i")
    reader.string()
    return reader.number("h")
