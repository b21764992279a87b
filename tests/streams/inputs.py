"""What goes in: the same events for the same seed, to the program that writes them and to the one
that computes what must come out.

Event times step through blocks out of order. No two events have one time: Kafka Streams numbers
what comes at one time under one key from zero in each of its lives, so that a second record would
take the place of the first in the store of a join.
"""

import collections
import random

TOPICS = ("lines", "readings", "customers", "orders", "clicks", "views")
PARTITION_COUNT = 2
WORD_COUNT = 50
KEY_COUNT = 8
CUSTOMER_COUNT = 20
LINE_WORDS = 4
READING_MAX = 1000
STEP_MS = 5          # of event time, from one event to the next
BLOCK = 64           # events whose times are shuffled
STRIDE = 37          # prime to BLOCK
MAKERS = []

Event = collections.namedtuple("Event", "topic key value time")


def maker(share):
    """Makes events of one kind, `share` of all."""
    return lambda make: MAKERS.extend([make] * share) or make


def time_of(number):
    """Milliseconds from the first event of a run."""
    block, place = divmod(number, BLOCK)
    return STEP_MS * (block * BLOCK + place * STRIDE % BLOCK)


def customer(number, version):
    """A customer; all but the version stays as it is."""
    return f"customer{number}", f"name{number} {version}"


@maker(4)
def line(dice, _):
    words = (f"word{int(dice.triangular(0, WORD_COUNT, 0))}" for _ in range(LINE_WORDS))
    return "lines", None, " ".join(words)


@maker(6)
def reading(dice, _):
    return "readings", f"sensor{dice.randrange(KEY_COUNT)}", str(dice.randrange(READING_MAX))


@maker(1)
def update(dice, number):
    return "customers", *customer(dice.randrange(CUSTOMER_COUNT), number)


@maker(4)
def order(dice, number):
    return "orders", None, f"customer{dice.randrange(CUSTOMER_COUNT)} order{number}"


@maker(3)
def click(dice, number):
    return "clicks", None, f"ad{dice.randrange(KEY_COUNT)} click{number}"


@maker(3)
def view(dice, number):
    return "views", f"ad{dice.randrange(KEY_COUNT)}", f"view{number}"


def customers():
    """What the table holds before anything else comes."""
    for number in range(CUSTOMER_COUNT):
        yield Event("customers", *customer(number, 0), 0)


def event(seed, number):
    """Event number 1, 2, ... of a run."""
    dice = random.Random(f"{seed}-{number}")
    return Event(*dice.choice(MAKERS)(dice, number), time_of(number))
