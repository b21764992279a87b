"""What a partition holds, record by record, markers too: read without any client."""

import raw
from kafka_wire import records_of


def batch_records(data):
    """(offset, value) of each record of the whole batches in data; a marker's value is None."""
    for record in records_of(data):
        yield record.offset, None if record.is_control else record.value.decode()


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
