"""Checks of consumer groups: members come and go, committed work is neither lost nor repeated."""

import itertools

import driver
from checks import Failure, expect, expect_that

PARTITIONS = 6
EACH = 20  # records per partition and step
SESSION_MS = 6000  # the shortest that Kafka's group.min.session.timeout.ms allows
SETTLE_S = 45  # for a rebalance, with room for a busy machine


class Work:
    """The records of one topic and what became of them."""

    def __init__(self, ctx, topic, group):
        self.ctx, self.topic, self.group = ctx, topic, group
        self.first = {}  # (partition, offset) -> the member that was given it first
        self.values = {}
        self.forgiven = set()  # what a killed member had not committed may come again
        self.ends = {p: 0 for p in range(PARTITIONS)}

    def produce(self):
        records = []
        for p in range(PARTITIONS):
            for i in range(EACH):
                value = b"%d:%d" % (p, self.ends[p] + i)
                records.append({"partition": p, "key": b"k", "value": value})
            self.ends[p] += EACH
        self.ctx.writer("partitions-chosen").produce(self.topic, records)

    def take(self, member, event):
        if event.get("event") != "record":
            return
        at = (event["partition"], event["offset"])
        expect("the value of a record", b"%d:%d" % at, driver.decode(event["value"]))
        if at in self.first and at not in self.forgiven:
            raise Failure(f"each record handled once: {member.name} got partition {at[0]} offset "
                          f"{at[1]}, which {self.first[at]} had handled and committed")
        self.first.setdefault(at, member.name)

    def lose(self, member):
        """Kills a member; only what it had not committed by then may be handled again."""
        for event in self.ctx.drop(member):
            self.take(member, event)
        floor = self.ctx.raw.committed(self.group, self.topic, PARTITIONS)
        if self.ctx.client.relays:
            self.believe(member, floor)
        self.forgiven = {at for at, name in self.first.items()
                         if name == member.name and at[1] >= floor[at[0]]}

    def believe(self, member, floor):
        """What a killed tool had committed counts as handled: its last words may have died with
        the driver that was passing them on. Of its own partitions only: the words of the others
        may still be on their way."""
        for partition in member.assigned or ():
            for at in range(max(floor[partition], 0)):
                self.first.setdefault((partition, at), member.name)

    def finished(self):
        """True when every record was handled and the broker has all of it as committed."""
        if len(self.first) < sum(self.ends.values()):
            return False
        return self.ctx.raw.committed(self.group, self.topic, PARTITIONS) == self.ends

    def wait(self, members, done, what):
        try:
            driver.wait_for_members(members, self.take, done, SETTLE_S, what)
        except driver.process.Timeout as late:
            state = {m.name: sorted(m.assigned or []) for m in members}
            committed = self.ctx.raw.committed(self.group, self.topic, PARTITIONS)
            raise Failure(f"{late}; assigned {state}, handled {len(self.first)} of "
                          f"{sum(self.ends.values())}, committed {committed}") from late

    def wait_finished(self, members):
        self.wait(members, self.finished, "all records handled and committed")

    def wait_balanced(self, members):
        share = PARTITIONS // len(members)
        names = ", ".join(m.name for m in members)

        def balanced():
            parts = [m.assigned or set() for m in members]
            return (all(len(p) == share for p in parts)
                    and len(set(itertools.chain(*parts))) == PARTITIONS)

        self.wait(members, balanced, f"{share} partitions for each of {names}")

    def wait_stopped(self, members):
        for member in members:
            member.ask_stop()
        self.wait(members, lambda: all(m.reply for m in members), "members leave when asked")


def start(ctx, strategy, static=False):
    topic = ctx.topic("group", PARTITIONS)
    work = Work(ctx, topic, ctx.name("group"))

    def member(name):
        return ctx.member(name, topic=topic, group=work.group, strategy=strategy,
                          session_timeout_ms=SESSION_MS, instance=name[0] if static else None)

    return work, member


def lose_and_regain(ctx, strategy):
    """Three members; one is killed amid work and another comes in its place."""
    work, member = start(ctx, strategy)
    lost, *rest = members = [member(n) for n in ("c", "a", "b")]
    work.wait_balanced(members)
    chosen = driver.process.poll_until(lambda: ctx.raw.group_strategy(work.group), SETTLE_S,
                                       "the group is not amid a rebalance")
    expect_that(f"the group agreed on an {strategy} strategy",
                ("cooperative" in chosen) == (strategy == "cooperative"), chosen)
    work.produce()
    work.wait_finished(members)

    work.produce()
    handled = len(work.first)
    work.wait(members, lambda: any(n == lost.name for n in list(work.first.values())[handled:]),
              "the member to lose is at work")
    work.lose(lost)
    work.produce()
    work.wait_balanced(rest)
    work.wait_finished(rest)

    members = [*rest, member("d")]
    work.wait_balanced(members)
    work.produce()
    work.wait_finished(members)
    work.wait_stopped(members)
    owners = {work.first[(p, work.ends[p] - 1)] for p in range(PARTITIONS)}
    expect("members at work at the end", {"a", "b", "d"}, owners)


def eager(ctx):
    lose_and_regain(ctx, "eager")


def cooperative(ctx):
    lose_and_regain(ctx, "cooperative")


def static(ctx):
    """A static member that dies and returns in time gets its partitions back; nobody else moves."""
    work, member = start(ctx, "eager", static=True)
    lost, *rest = members = [member(n) for n in ("c1", "a1", "b1")]
    work.wait_balanced(members)
    work.produce()
    work.wait_finished(members)
    before = [m.assignments for m in rest]
    owned = set(lost.assigned)
    work.lose(lost)
    back = member("c2")
    work.wait([*rest, back], lambda: back.assigned == owned,
              f"the static member gets {sorted(owned)} back")
    work.produce()
    work.wait_finished([*rest, back])
    expect("assignments of the others", before, [m.assignments for m in rest])
    work.wait_stopped([*rest, back])


def commit(ctx):
    """Offsets committed without a member are the broker's and the client's truth."""
    topic, group = ctx.topic("commit", 2), ctx.name("commit-group")
    produce_numbers(ctx, topic, 2, 10)
    ctx.driver.call("commit", group=group, topic=topic, offsets={"0": 4, "1": 7})
    expect("offsets on the broker", {0: 4, 1: 7}, ctx.raw.committed(group, topic, 2))
    expect("offsets by the client", {"0": 4, "1": 7}, client_committed(ctx, group, topic))


def client_committed(ctx, group, topic):
    return ctx.driver.call("committed", group=group, topic=topic, partitions=[0, 1])["offsets"]


def produce_numbers(ctx, topic, partitions, count):
    ctx.writer("partitions-chosen").produce(topic, [
        {"partition": p, "key": b"k", "value": b"%d:%d" % (p, i)}
        for p in range(partitions) for i in range(count)])


def reset(ctx):
    """A group set back reads again from there, and only from there."""
    topic, group = ctx.topic("reset", 2), ctx.name("reset-group")
    produce_numbers(ctx, topic, 2, 10)
    ctx.driver.call("commit", group=group, topic=topic, offsets={"0": 10, "1": 10})
    ctx.driver.call("commit", group=group, topic=topic, offsets={"0": 3, "1": 8})
    seen = set()

    def take(_, event):
        if event.get("event") == "record":
            seen.add((event["partition"], event["offset"]))

    wanted = {(0, i) for i in range(3, 10)} | {(1, i) for i in range(8, 10)}
    member = consume_in_group(ctx, topic, group, {0: 10, 1: 10}, take)
    member.ask_stop()
    wait_left([member], take)
    expect("records after the reset", sorted(wanted), sorted(seen))


def list_offsets(ctx):
    """Earliest, latest, and by timestamp, also after records were deleted."""
    topic = ctx.topic("list-offsets", 2, retention_ms=-1)
    base = 1_600_000_000_000
    write_with_times(ctx, topic, base)
    wanted = {"earliest": 0, "latest": 10, base: 0, base + 4000: 4, base + 4001: 5}
    for at, offset in wanted.items():
        expect(f"offset at {at}", offset, ask(ctx, topic, at))
    ctx.raw.delete_records(topic, 1, 6)
    for at, offset in {"earliest": 6, "latest": 10, base + 8000: 8}.items():
        expect(f"offset at {at} after DeleteRecords", offset, ask(ctx, topic, at))


def write_with_times(ctx, topic, base):
    """Ten records a second apart in partition 1; by the reference if the client has no times."""
    records = [{"partition": 1, "key": b"k", "value": b"v", "timestamp": base + i * 1000}
               for i in range(10)]
    ctx.writer("timestamps", "partitions-chosen").produce(topic, records)


def ask(ctx, topic, at):
    return ctx.driver.call("list-offsets", topic=topic, partition=1, at=at)["offset"]


def consume_in_group(ctx, topic, group, until, take=lambda *_: None):
    """A member that runs until the group has committed the given offsets; returns the member."""
    member = ctx.member("member", topic=topic, group=group, strategy="eager", instance=None,
                        session_timeout_ms=SESSION_MS)
    driver.wait_for_members([member], take,
                            lambda: ctx.raw.committed(group, topic, len(until)) == until,
                            SETTLE_S, f"the group commits {until}")
    return member


def wait_left(members, take=lambda *_: None):
    driver.wait_for_members(members, take, lambda: all(m.reply for m in members), SETTLE_S,
                            "the members leave when asked")


def groups(ctx):
    """Groups are listed and described, with and without members."""
    topic, group = ctx.topic("groups", 1), ctx.name("groups")
    produce_numbers(ctx, topic, 1, 5)
    member = consume_in_group(ctx, topic, group, {0: 5})
    seen = ctx.driver.call("describe-group", group=group)
    expect("group with a member", ("stable", 1), (seen["state"].lower(), seen["members"]))
    member.ask_stop()
    wait_left([member])
    seen = ctx.driver.call("describe-group", group=group)
    expect("group without members", ("empty", 0), (seen["state"].lower(), seen["members"]))
    listed = ctx.driver.call("list-groups")["groups"]
    expect_that(f"the list of groups holds {group}", group in listed, listed)


def delete_group(ctx):
    """A group without members is deleted, and its offsets with it."""
    topic, group = ctx.topic("group-deleted", 1), ctx.name("group-deleted")
    produce_numbers(ctx, topic, 1, 5)
    consume_in_group(ctx, topic, group, {0: 5}).ask_stop()
    wait_left(ctx.members)
    ctx.driver.call("delete-group", group=group)
    listed = ctx.driver.call("list-groups")["groups"]
    expect_that(f"the list of groups lost {group}", group not in listed, listed)
    expect("offsets of the deleted group", {0: -1}, ctx.raw.committed(group, topic, 1))
