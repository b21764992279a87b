"""What the differential test asks both brokers: tables of requests by name, and random ones."""

import scenarios_admin
import scenarios_random
import scenarios_storage
import scenarios_txn

TABLES = (*scenarios_txn.TABLES, *scenarios_admin.TABLES, *scenarios_storage.TABLES)


def named():
    """{name: steps} of all tables."""
    return {name.replace("+", "plus-").replace("--", "-minus-"): steps
            for table in TABLES for name, steps in table()}


def drawn(first, count):
    """{name: steps} of so many random scenarios; a seed always gives the same one."""
    return {f"random-{seed}": scenarios_random.scenario(seed)
            for seed in range(first, first + count)}
