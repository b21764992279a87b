"""What a partition holds, record by record, markers too: read without any client."""

import raw

HEADER_SIZE = raw.BATCH_HEADER.size
CONTROL = 0x20
ATTRIBUTES_AT = 21


def varint(data, at):
    number, shift = 0, 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), at
        shift += 7


def values(data, at, count):
    """The values of a batch's records, which begin at `at` uncompressed."""
    for _ in range(count):
        size, at = varint(data, at)
        end = at + size
        at += 1
        for _ in range(2):  # timestamp, offset
            _, at = varint(data, at)
        key_size, at = varint(data, at)
        at += max(0, key_size)
        size, at = varint(data, at)
        yield data[at:at + size].decode()
        at = end


def batch_records(data):
    """(offset, value) of each record of the whole batches in data; a marker's value is None."""
    at = 0
    while at + HEADER_SIZE <= len(data):
        head = raw.BATCH_HEADER.unpack_from(data, at)
        base, length, attributes, last_delta, count = head[0], head[1], head[5], head[6], head[12]
        if at + 12 + length > len(data):
            return
        if attributes & CONTROL:
            yield from ((base + delta, None) for delta in range(last_delta + 1))
        else:
            for delta, value in enumerate(values(data, at + HEADER_SIZE, count)):
                yield base + delta, value
        at += 12 + length


def records(conn, topic, partition, offset=None):
    """All that is stored of a partition from an offset on, without one from its start."""
    if offset is None:
        offset = conn.list_offset(topic, partition, raw.EARLIEST)
    end = conn.list_offset(topic, partition, raw.LATEST)
    while offset < end:
        part = [r for r in batch_records(conn.fetch(topic, partition, offset)) if r[0] >= offset]
        if not part:
            raise ValueError(f"{topic}-{partition} gives no batch at {offset}, end is {end}")
        yield from part
        offset = part[-1][0] + 1


def has_record(conn, topic, partition, offset):
    """Whether anything but markers of transactions stands at or behind the offset."""
    return any(value is not None for _, value in records(conn, topic, partition, offset))
