"""The driver's end of the command contract (README.md), for the drivers written in Python."""

import base64
import json
import os
import select
import sys
import time

READ_BYTES = 1 << 20


def encode(data):
    return None if data is None else base64.b64encode(data).decode()


def decode(text):
    return None if text is None else base64.b64decode(text)


def send(line):
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def assigned(partitions):
    send({"event": "assigned", "partitions": sorted(partitions)})


def handled(partition, offset, value):
    send({"event": "record", "partition": partition, "offset": offset, "value": encode(value)})


def headers_of(record):
    return [(name, decode(value)) for name, value in record["headers"]]


def wire_record(partition, offset, timestamp, key, value, headers):
    return {"partition": partition, "offset": offset, "timestamp": timestamp, "key": encode(key),
            "value": encode(value), "headers": [[k, encode(v)] for k, v in headers or []]}


class Commands:
    """Lines from stdin, which can also be asked whether one is waiting."""

    def __init__(self):
        self.buffer = bytearray()

    def waiting(self):
        return bool(select.select([0], [], [], 0)[0])

    def next(self):
        while b"\n" not in self.buffer:
            chunk = os.read(0, READ_BYTES)
            if not chunk:
                return None
            self.buffer += chunk
        line, _, rest = self.buffer.partition(b"\n")
        self.buffer = bytearray(rest)
        return json.loads(line)


class Patience:
    """The time a consume may take."""

    def __init__(self, command):
        self.count = command["count"]
        self.end = time.monotonic() + command["timeout_ms"] / 1000

    def check(self, records):
        if time.monotonic() > self.end:
            raise TimeoutError(f"got {len(records)} of {self.count} records in time")


def isolation(command):
    """The setting of a reader, if the command has one."""
    return {"isolation_level": command["isolation"]} if command.get("isolation") else {}


def method_name(command):
    return command["cmd"].replace("-", "_")


def serve(driver, commands):
    """Answers each command by the driver's method of its name, which returns a dict or None."""
    while (command := commands.next()) is not None:
        try:
            reply = getattr(driver, method_name(command))(command) or {}
            send({"ok": True, **reply})
        except Exception as error:  # pylint: disable=broad-except
            send({"ok": False, "error": f"{type(error).__name__}: {error}"})
