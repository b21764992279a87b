"""kcat behind the command contract: each command is a kcat command line, its output parsed."""

import itertools
import json
import re
import selectors
import subprocess
import sys

import contract

WAIT_S = 20
# Between keys, values and messages on kcat's stdin: no payload of the checks contains these.
KEY_END = b"\x1e[key-end]\x1e"
MESSAGE_END = b"\x1e[message-end]\x1e"
RECORD_FORMAT = r"%p %o %T %K %S\n%h\n%k%s\n"
MEMBER_FORMAT = r"%p %o %S\n%s\n"
REBALANCE = re.compile(r"^% Group \S+ rebalanced\b.*?\b(assign|revo|unassign)")


def escaped(data):
    return "".join(f"\\x{byte:02x}" for byte in data)


def fail(text):
    lines = [line for line in text.decode(errors="replace").splitlines() if line.startswith("%")]
    raise RuntimeError("; ".join(lines) or text.decode(errors="replace"))


def parse_headers(text):
    """`n=v,n=v`; kcat prints a null value as NULL."""
    pairs = (item.split("=", 1) for item in text.split(",") if item)
    return [(name, None if value == "NULL" else value.encode()) for name, value in pairs]


class Records:
    """Takes kcat's output apart, whose fields have the lengths that its lines announce."""

    def __init__(self):
        self.buffer = b""

    def take_line(self, at):
        end = self.buffer.index(b"\n", at)
        return self.buffer[at:end].decode(), end + 1

    def take_bytes(self, at, size):
        if size < 0:
            return None, at
        if at + size > len(self.buffer):
            raise ValueError("not all there yet")
        return self.buffer[at:at + size], at + size

    def parse(self):
        """Whole records in RECORD_FORMAT."""
        found = []
        while self.buffer:
            try:
                line, at = self.take_line(0)
                headers, at = self.take_line(at)
                partition, offset, timestamp, key_size, size = map(int, line.split())
                key, at = self.take_bytes(at, key_size)
                value, at = self.take_bytes(at, size)
                _, at = self.take_line(at)
            except ValueError:
                return found
            found.append(contract.wire_record(partition, offset, timestamp, key, value,
                                              parse_headers(headers)))
            self.buffer = self.buffer[at:]
        return found

    def parse_member(self):
        """Whole records in MEMBER_FORMAT."""
        found = []
        while self.buffer:
            try:
                line, at = self.take_line(0)
                partition, offset, size = map(int, line.split())
                value, at = self.take_bytes(at, size)
                _, at = self.take_line(at)
            except ValueError:
                return found
            found.append((partition, offset, value))
            self.buffer = self.buffer[at:]
        return found


class Driver:
    """Each method answers the command of its name."""

    def __init__(self, bootstrap, commands):
        self.bootstrap = bootstrap
        self.commands = commands

    def argv(self, *args):
        return ["kcat", "-b", self.bootstrap, *args]

    def run(self, *args, stdin=b""):
        done = subprocess.run(self.argv(*args), input=stdin, capture_output=True, timeout=WAIT_S,
                              check=False)
        if done.returncode or b"ERROR" in done.stderr or b"failed" in done.stderr:
            fail(done.stderr)
        return done.stdout

    def describe(self, _):
        said = subprocess.run(["kcat", "-V"], capture_output=True, text=True, check=False).stdout
        version = re.search(r"Version (\S+).*?librdkafka (\S+)", said)
        return {"client": "kcat", "version": f"{version[1]} (librdkafka {version[2]})"}

    def produce(self, command):
        """One kcat for each run of records that share what its options set for all of them."""
        def shared(record):
            key = "null" if record["key"] is None else "given"
            return record["partition"], record["headers"], key, record["value"] in (None, "")

        for key, records in itertools.groupby(command["records"], shared):
            self.produce_alike(command, list(records), *key)

    def produce_alike(self, command, records, partition, headers, key, empty):
        args = ["-P", "-t", command["topic"], "-p", str(partition),
                "-z", command.get("codec", "none"), "-X", "linger.ms=20"]
        if command.get("idempotent"):
            args += ["-X", "enable.idempotence=true"]
        if command.get("max_bytes"):
            args += ["-X", f"message.max.bytes={command['max_bytes'] + 1000}"]
        for name, value in headers:
            text = "" if value is None else f"={contract.decode(value).decode()}"
            args += ["-H", f"{name}{text}"]
        if empty and records[0]["value"] is None:
            args.append("-Z")
        args += ["-D", escaped(MESSAGE_END)]
        if key == "given":
            args += ["-K", escaped(KEY_END)]
        lines = [(contract.decode(r["key"]) + KEY_END if key == "given" else b"")
                 + (contract.decode(r["value"]) or b"") for r in records]
        self.run(*args, stdin=MESSAGE_END.join(lines))

    def consume(self, command):
        args = ["-C", "-t", command["topic"], "-o", "beginning", "-c", str(command["count"]),
                "-q", "-f", RECORD_FORMAT]
        if command.get("max_bytes"):
            args += ["-X", f"fetch.message.max.bytes={command['max_bytes'] + 1000}"]
        if command.get("isolation"):
            args += ["-X", f"isolation.level={command['isolation']}"]
        parser = Records()
        try:
            parser.buffer = self.run(*args)
        except subprocess.TimeoutExpired as late:
            parser.buffer = late.stdout or b""
            got = len(parser.parse())
            raise TimeoutError(f"got {got} of {command['count']} records in time") from late
        return {"records": parser.parse()}

    def group_consume(self, command):
        strategy = "cooperative-sticky" if command["strategy"] == "cooperative" else "range"
        settings = {"session.timeout.ms": command["session_timeout_ms"],
                    "heartbeat.interval.ms": 500, "auto.offset.reset": "earliest",
                    "auto.commit.interval.ms": 100, "partition.assignment.strategy": strategy}
        if command["instance"]:
            settings["group.instance.id"] = command["instance"]
        args = ["-G", command["group"], "-u", "-f", MEMBER_FORMAT]
        for name, value in settings.items():
            args += ["-X", f"{name}={value}"]
        with subprocess.Popen(self.argv(*args, command["topic"]), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0) as child:
            Member(child).run()
        self.commands.next()
        if child.returncode:
            raise RuntimeError(f"kcat ended with {child.returncode}")

    def list_offsets(self, command):
        at = {"earliest": -2, "latest": -1}.get(command["at"], command["at"])
        said = self.run("-Q", "-t", f"{command['topic']}:{command['partition']}:{at}").decode()
        return {"offset": int(re.search(r"offset (-?\d+)", said)[1])}

    def metadata(self, *args):
        return json.loads(self.run("-L", "-J", *args))["topics"]

    def list_topics(self, _):
        return {"topics": [topic["topic"] for topic in self.metadata()]}

    def describe_topic(self, command):
        (topic,) = self.metadata("-t", command["topic"])
        return {"partitions": len(topic["partitions"])}


class Member:
    """A kcat in a group: its records come on stdout, its rebalances on stderr."""

    def __init__(self, child):
        self.child = child
        self.records = Records()
        self.messages = b""
        self.owned = set()

    def run(self):
        with selectors.DefaultSelector() as selector:
            selector.register(self.child.stdout, selectors.EVENT_READ, self.take_records)
            selector.register(self.child.stderr, selectors.EVENT_READ, self.take_messages)
            selector.register(0, selectors.EVENT_READ, None)
            open_streams = 2
            while open_streams:
                for key, _ in selector.select():
                    if key.data is None:
                        self.child.terminate()
                        selector.unregister(0)
                    elif not key.data(key.fileobj.read(1 << 16)):
                        selector.unregister(key.fileobj)
                        open_streams -= 1

    def take_records(self, data):
        self.records.buffer += data
        for record in self.records.parse_member():
            contract.handled(*record)
        return data

    def take_messages(self, data):
        *lines, self.messages = (self.messages + data).split(b"\n")
        for line in lines:
            self.take_message(line.decode())
        return data

    def take_message(self, line):
        print(line, file=sys.stderr)
        change = REBALANCE.match(line)
        if change:
            numbers = {int(n) for n in re.findall(r"\[(\d+)\]", line)}
            self.owned = self.owned | numbers if change[1] == "assign" else self.owned - numbers
            contract.assigned(self.owned)


if __name__ == "__main__":
    stdin = contract.Commands()
    contract.serve(Driver(sys.argv[1], stdin), stdin)
