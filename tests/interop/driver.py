"""The orchestrator's end of the command contract (clients/README.md): one driver process."""

import base64
import json
import selectors

import process

COMMAND_S = 40


class DriverError(Exception):
    """The client reported an error: its own words."""


class DriverLost(Exception):
    """The driver ended, hung or spoke nonsense."""


def encode(data):
    return None if data is None else base64.b64encode(data).decode()


def decode(text):
    return None if text is None else base64.b64decode(text)


def encode_record(record):
    """A record of the checks as the contract writes it. Absent fields are left to the client."""
    wire = {"key": encode(record.get("key")), "value": encode(record.get("value")),
            "headers": [[k, encode(v)] for k, v in record.get("headers", [])],
            "partition": record.get("partition", 0)}
    if "timestamp" in record:
        wire["timestamp"] = record["timestamp"]
    return wire


def decode_record(wire):
    return dict(wire, key=decode(wire["key"]), value=decode(wire["value"]),
                headers=[(k, decode(v)) for k, v in wire.get("headers", [])])


class Driver:
    """A running driver program."""

    def __init__(self, client, address, stderr_path):
        self.client = client
        self.child = process.Child(client.argv(address), stderr_path, env=client.env())

    def _send(self, cmd, args):
        try:
            self.child.write_line(json.dumps({"cmd": cmd, **args}))
        except OSError as gone:
            raise DriverLost(f"the driver is gone: {self.child.stderr_tail()}") from gone

    def _parse(self, line):
        if line is None:
            self.child.popen.wait()
            raise DriverLost(f"the driver ended with {self.child.popen.returncode}: "
                             + self.child.stderr_tail())
        try:
            return json.loads(line)
        except ValueError as bad:
            raise DriverLost(f"not a line of JSON: {line[:200]!r}") from bad

    def call(self, cmd, seconds=COMMAND_S, **args):
        """One command, one reply."""
        self._send(cmd, args)
        try:
            reply = self._parse(self.child.read_line(process.Deadline(seconds)))
        except process.Timeout as late:
            raise DriverLost(f"{cmd}: {late}; {self.child.stderr_tail()}") from late
        if not reply.get("ok"):
            raise DriverError(reply.get("error", "no reason given"))
        return reply

    def produce(self, topic, records, **options):
        self.call("produce", topic=topic, records=[encode_record(r) for r in records], **options)

    def consume(self, topic, count, **options):
        """Reads a topic from its beginning until count records came, by partition and offset."""
        reply = self.call("consume", topic=topic, count=count, timeout_ms=20000, **options)
        records = [decode_record(r) for r in reply["records"]]
        return sorted(records, key=lambda r: (r["partition"], r["offset"]))

    def kill(self):
        self.child.kill()

    def close(self):
        """Closing stdin is the contract's way to end a driver."""
        self.child.popen.stdin.close()
        try:
            self.child.popen.wait(10)
        except Exception:  # pylint: disable=broad-except
            self.child.kill()
        self.child.close()


class Member(Driver):
    """A group member: between `group-consume` and `stop` it sends events."""

    def __init__(self, client, address, stderr_path, name, **options):
        super().__init__(client, address, stderr_path)
        self.name = name
        self.assigned = None
        self.assignments = 0  # how many times it was told its partitions
        self.reply = None
        self._send("group-consume", options)

    def drain(self):
        """The events that are there now; each is applied to the assignment and handed out."""
        events = []
        while True:
            try:
                line = self.child.read_line(process.Deadline(0))
            except process.Timeout:
                return events
            if line is None:
                self.reply = self.reply or {"ok": False, "error": "ended"}
                return events
            event = self._parse(line)
            if event.get("event") == "assigned":
                self.assigned = set(event["partitions"])
                self.assignments += 1
            if "ok" in event:
                self.reply = event
            else:
                events.append(event)

    def ask_stop(self):
        self._send("stop", {})


def wait_for_members(members, take, done, seconds, what):
    """Hands each event to take(member, event) until done(); Timeout says what was expected."""
    deadline = process.Deadline(seconds)
    with selectors.DefaultSelector() as selector:
        for member in members:
            selector.register(member.child.popen.stdout, selectors.EVENT_READ)
        while True:
            for member in members:
                for event in member.drain():
                    take(member, event)
                if member.reply and not member.reply.get("ok"):
                    raise DriverError(f"{member.name}: {member.reply.get('error')}; "
                                      + member.child.stderr_tail())
            if done():
                return
            if deadline.passed():
                raise process.Timeout(f"{what}: not within {seconds} s")
            selector.select(min(deadline.left(), 0.2))
