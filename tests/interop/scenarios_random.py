"""Random scenarios: a producer, a member of a group and an administrator who take turns.

A seed draws each request from what its sender would rightly send next, or from what is wrong with
it by a little: a sequence or an epoch that is off by one, an end without a beginning, an offset
that was deleted. Both brokers must answer all of it alike, and show alike what has come of it.

Three things that docs/differences.md lists are left out: a right sequence after a lower one that
was refused before its partition was in the transaction, an open transaction's batch cut in two by
DeleteRecords, and ListOffsets for the largest timestamp while some records are not to be seen.
"""

import random

from scenario import LOOK, TOPIC, Batch, Ref
from scenarios_admin import (NOBODY, alter, commit, describe, heartbeat, join, leave, list_offsets,
                             sync)
from scenarios_storage import delete_records
from scenarios_txn import (V2, add, add_offsets, commit_offsets, end, fetch, fetch_offsets, init,
                           produce)

STEP_COUNT = 24
PARTITIONS = (0, 1)
OFFSETS = (-1, 0, 1, 2, 3, 5, 8, 99)
CLASSIC_PRODUCE = 11  # the last version of Produce that does not add partitions by itself


class Producer:
    """A transactional producer in one version of the protocol, and how far it believes to be."""

    def __init__(self, rng):
        self.rng = rng
        self.is_classic = rng.random() < 0.5
        self.version = CLASSIC_PRODUCE if self.is_classic else 12
        self.next = dict.fromkeys(PARTITIONS, 0)
        self.open = set()  # partitions in the transaction
        self.is_begun = False

    def begin(self):
        """The first step of all."""
        self.next = dict.fromkeys(PARTITIONS, 0)
        self.open.clear()
        self.is_begun = False
        return [init(4 if self.is_classic else 5)]

    def write(self):
        partition = self.rng.choice(PARTITIONS)
        count = self.rng.randint(1, 3)
        first = self.next[partition]
        self.next[partition] += count
        self.open.add(partition)
        self.is_begun = True
        before = [add([(TOPIC, [partition])])] if self.is_classic else []
        return [*before, produce(Batch(first, count), self.version, partition=partition)]

    def write_wrongly(self):
        partition = self.rng.choice(PARTITIONS)
        after = self.next[partition]
        wrong = [Batch(after + 1), Batch(after, epoch=Ref("epoch", -1)),
                 Batch(after, epoch=Ref("epoch", 1)), Batch(after, flaw="crc")]
        if partition in self.open:
            wrong += [Batch(max(0, after - 1)), Batch(after, attributes=0)]
        batch = self.rng.choice(wrong)
        return [produce(batch, self.version, partition=partition)]

    def take_offsets(self):
        self.is_begun = True
        before = [add_offsets()] if self.is_classic else []
        return [*before, commit_offsets(3 if self.is_classic else 5)]

    def finish(self):
        if not self.is_begun:
            return []
        self.is_begun = False
        self.open.clear()
        if not self.is_classic:  # the epoch is new
            self.next = dict.fromkeys(PARTITIONS, 0)
        return [end(self.rng.random() < 0.6, 4 if self.is_classic else V2), LOOK]

    def finish_wrongly(self):
        return [end(self.rng.random() < 0.5, 4 if self.is_classic else V2,
                    producer_epoch=Ref("epoch", self.rng.choice((-2, 2))))]


class Member:
    """The only member of a group."""

    def __init__(self, rng):
        self.rng = rng
        self.is_in = False

    def act(self):
        if not self.is_in:
            self.is_in = True
            return [join(), join(5, Ref("member")), sync()]
        what = self.rng.randrange(6)
        if what == 0:
            self.is_in = False
            return [leave(), heartbeat(), describe()]
        return [[heartbeat()], [join(5, Ref("member")), sync()], [describe()],
                [commit(offset=self.rng.randrange(9))],
                [commit(offset=1, generation_id_or_member_epoch=Ref("generation", 1))]][what - 1]

    def commit_as_nobody(self):
        return [commit(offset=self.rng.randrange(9), **NOBODY), fetch_offsets()]


def read(rng):
    return [rng.choice((
        fetch(12, rng.choice((0, 1)), rng.choice(OFFSETS), rng.choice(PARTITIONS)),
        list_offsets(8, rng.choice((-1, -2)), rng.choice(PARTITIONS),
                     isolation_level=rng.choice((0, 1))),
        fetch_offsets(rng.random() < 0.5)))]


def administer(rng, producer):
    offsets = (-1, 0, 99) if producer.is_begun else OFFSETS
    return rng.choice((
        [delete_records(rng.choice(offsets), rng.choice(PARTITIONS)),
         list_offsets(8, -2, 0), list_offsets(8, -2, 1)],
        [alter("retention.ms", rng.choice(("-1", "100000000", "-2", "x")))],
        [alter("max.message.bytes", rng.choice(("100000", "1000000", "-1")))]))


def scenario(seed):
    """The steps of a seed."""
    rng = random.Random(seed)
    producer, member = Producer(rng), Member(rng)
    turns = ((producer.write, 8), (producer.write_wrongly, 3), (producer.finish, 4),
             (producer.finish_wrongly, 1), (producer.take_offsets, 2), (producer.begin, 1),
             (member.act, 4), (member.commit_as_nobody, 1), (lambda: read(rng), 5),
             (lambda: administer(rng, producer), 2))
    steps = producer.begin()
    while len(steps) < STEP_COUNT:
        (turn,) = rng.choices([t for t, _ in turns], [w for _, w in turns])
        steps += turn()
    return [*steps, LOOK, *(fetch(12, isolation, 0, partition) for isolation in (0, 1)
                            for partition in PARTITIONS), fetch_offsets()]
