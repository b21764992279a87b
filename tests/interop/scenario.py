"""The words in which the differential test's tables are written.

A value may be a Ref, which is what an earlier answer said, or a Batch. Names are the scenario's
own: TOPIC has two partitions, TID and GROUP are unused before.
"""

import dataclasses
import sys

import toolchains

sys.path.insert(0, str(toolchains.ROOT / "tests" / "support"))
import kafka_wire  # pylint: disable=wrong-import-position

PARTITIONS = 2
TRANSACTIONAL = 16
CONTROL = 32
NEVER_GIVEN = 99  # what a Ref is where the answer was an error


@dataclasses.dataclass(frozen=True)
class Ref:
    """What the run knows by this name, and so much more: a number, or the end of a text."""

    name: str
    plus: int | str = 0

    def __repr__(self):
        plus = f"{self.plus:+d}" if isinstance(self.plus, int) and self.plus else self.plus or ""
        return f"${self.name}{plus}"


@dataclasses.dataclass(frozen=True)
class Batch:
    """A batch of the producer, flaw and all."""

    sequence: int = 0
    count: int = 1
    epoch: Ref = Ref("epoch")
    id: Ref = Ref("id")
    attributes: int = TRANSACTIONAL
    flaw: str = None
    pairs: tuple = ()   # of keys and values, instead of `count` values
    later_ms: int = 1   # than the batch before


TOPIC, TID, GROUP, ID, EPOCH = (Ref(n) for n in ("topic", "tid", "group", "id", "epoch"))


@dataclasses.dataclass
class Step:
    """One request and what to keep of its answer, or another deed of the runner (`how`)."""

    api: str
    version: int
    values: dict
    keep: dict = dataclasses.field(default_factory=dict)
    how: str = "ask"
    differs: str = None
    ignores: tuple = ()  # fields of the answer that are not compared

    def label(self):
        said = {k: v for k, v in self.values.items() if v not in (TOPIC, TID, GROUP, ID, EPOCH)}
        return f"{self.api} v{self.version} {said}"


def flawed(data, flaw):
    """Breaks one thing of a whole batch."""
    data = bytearray(data)
    if flaw == "crc":
        data[17] ^= 1
    elif flaw == "magic":
        data[16] = 3
    elif flaw == "magic-1":
        data[16] = 1
    elif flaw == "short":
        del data[-1]
    elif flaw == "empty":
        data = bytearray()
    elif flaw == "twice":
        data *= 2
    return bytes(data)


def encode_batch(batch, state):
    """Each batch of a scenario has its own time, the same for every broker."""
    producer = (resolve(batch.id, state), resolve(batch.epoch, state), batch.sequence)
    pairs = batch.pairs or [(None, b"value-%d" % i) for i in range(batch.count)]
    state["time_ms"] += batch.later_ms
    made = kafka_wire.keyed_batch(pairs, producer, batch.attributes, state["time_ms"])
    return flawed(made, batch.flaw)


def resolve(value, state):
    if isinstance(value, dict):
        return {k: resolve(v, state) for k, v in value.items()}
    if isinstance(value, list):
        return [resolve(v, state) for v in value]
    if isinstance(value, Ref):
        known = state.get(value.name, NEVER_GIVEN)
        return known + value.plus if value.plus else known
    return encode_batch(value, state) if isinstance(value, Batch) else value


LOOK = Step("look", 0, {"topic": TOPIC, "tid": TID}, how="look")
AWAIT_STABLE = Step("await", 0, {"topic": TOPIC, "tid": TID}, how="await_stable")
