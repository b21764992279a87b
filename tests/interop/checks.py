"""What every check needs: the client's driver, the raw eye on the broker, and expectations."""

import base64
import random

import clients
import driver
import raw

BROKER_DEFAULT_BYTES = 1048588  # Kafka's default of message.max.bytes


class Failure(Exception):
    """An expectation that did not hold."""


def expect(what, wanted, got):
    if wanted != got:
        raise Failure(f"{what}: expected {short(wanted)}, got {short(got)}")


def expect_that(what, holds, got):
    if not holds:
        raise Failure(f"{what}: got {short(got)}")


def short(value, limit=400):
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


def payload(size, seed=0, text=False):
    """Bytes of which half compress well and half not at all, the same for the same seed."""
    rough = random.Random(seed).randbytes(size // 2 + 1)
    data = (rough + bytes(range(256)) * (size // 512 + 1))[:size]
    if not text:
        return data
    return base64.b64encode(data).replace(b"+", b"x").replace(b"/", b"y")[:size]


class Context:
    """One client's run against one broker: a driver that lives across checks, and a raw reader."""

    def __init__(self, client, server, logs):
        self.client, self.server, self.logs = client, server, logs
        self.address = f"{server.host}:{server.port}"
        self.raw = None
        self.driver = None
        self._reference = None
        self.count = 0
        self.members = []

    def begin(self):
        """Each feature begins with a live driver and connection: the last may have broken them."""
        self.raw = self.raw or raw.Raw(self.server.host, self.server.port)
        if self.driver and self.driver.child.popen.poll() is not None:
            self.driver.close()
            self.driver = None
        if not self.driver:
            self.driver = driver.Driver(self.client, self.address, self._stderr("main"))

    @property
    def reference(self):
        """A driver of the Java client, for what the client under test cannot write itself."""
        if not self._reference:
            self._reference = driver.Driver(clients.by_name("java"), self.address,
                                            self._stderr("reference"))
        return self._reference

    def writer(self, *needs):
        """The driver that writes a check's records: the client's own unless it lacks a need."""
        return self.reference if set(needs) & set(self.client.lacks) else self.driver

    def end(self, broken):
        for member in self.members:
            member.kill()
            member.close()
        self.members.clear()
        if broken and self.driver:
            self.driver.kill()
        if broken and self.raw:
            self.raw.close()
            self.raw = None

    def close(self):
        for one in (self.driver, self._reference):
            if one:
                one.close()
        if self.raw:
            self.raw.close()

    def _stderr(self, role):
        return self.logs / f"{self.client.name}-{role}.stderr"

    def name(self, purpose):
        """A name no other check uses."""
        self.count += 1
        return f"{self.client.name}.{purpose}.{self.count}"

    def topic(self, purpose, partitions=1, **config):
        """A fresh topic, made without the client; its size limit is Kafka's default."""
        topic = self.name(purpose)
        settings = {"max.message.bytes": BROKER_DEFAULT_BYTES}
        settings.update({k.replace("_", "."): v for k, v in config.items()})
        self.raw.create_topic(topic, partitions, settings)
        return topic

    def payload(self, size, seed=0):
        return payload(size, seed, text=not self.client.can("values-binary"))

    def member(self, name, **options):
        member = driver.Member(self.client, self.address, self._stderr(name), name, **options)
        self.members.append(member)
        return member

    def drop(self, member):
        """Kills a member without a word; its last events are returned."""
        member.kill()
        self.members.remove(member)
        events = member.drain()
        member.close()
        return events
