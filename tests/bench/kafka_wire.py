"""The few Kafka requests that the measurements send, written by hand in their oldest simple versions.

A Client is one blocking connection; requests can be sent ahead and answers read later.
"""

import socket
import struct


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


def batch(values, timestamp_ms=1_700_000_000_000):
    """A record batch v2 of the values, uncompressed, without keys."""
    records = b""
    for delta, value in enumerate(values):
        body = b"\x00" + varint(0) + varint(delta) + varint(-1) + varint(len(value)) + value
        body += varint(0)
        records += varint(len(body)) + body
    tail = struct.pack(">hiqqqhii", 0, len(values) - 1, timestamp_ms, timestamp_ms, -1, -1, -1,
                       len(values)) + records
    return struct.pack(">qiibI", 0, len(tail) + 9, -1, 2, crc32c(tail)) + tail


def metadata(topics):
    """Metadata v1: makes unknown topics where the broker allows it."""
    return 3, 1, array([string(t) for t in topics])


def create_topic(name, partitions):
    """CreateTopics v2."""
    topic = string(name) + struct.pack(">ih", partitions, 1) + array([]) + array([])
    return 19, 2, array([topic]) + struct.pack(">ib", 30000, 0)


def produce(topic, partition, values, acks=-1):
    """Produce v3."""
    records = struct.pack(">i", partition) + data(batch(values))
    return 0, 3, struct.pack(">hhi", -1, acks, 30000) + array([string(topic) + array([records])])


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
        key, version, body = request
        self.correlation += 1
        message = struct.pack(">hhi", key, version, self.correlation) + string("bench") + body
        self.socket.sendall(struct.pack(">i", len(message)) + message)

    def receive(self):
        size, = struct.unpack(">i", self.exactly(4))
        reader = Reader(self.exactly(size))
        reader.number("i")
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


def produce_error(reader):
    """The error code of a one-partition Produce answer."""
    reader.number("i")
    reader.string()
    reader.number("i")
    reader.number("i")
    return reader.number("h")


assert crc32c(b"123456789") == 0xE3069283
