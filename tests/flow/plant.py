#!/usr/bin/env python3
"""Shows that the simulated lives of handlers bite: plants a defect, and runs seeds until one fails.

    plant.py [--only NAME,...] [--seeds N]

Prints for each planted defect what it is, what found it, and the first of the seeds 1, 2, 3 ...
that did. Exits 1 where none of N did.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
import planting  # noqa: E402

RUN_S = 300
DELIVERY = "src/flow/delivery/"

# name -> what is wrong, and the one place that is changed for it
PLANTS = {
    "lost": ("lost partitions are let go while a commit names them", (
        DELIVERY + "engine_places.c", "if (lane->state == LANE_GONE && lane->is_in_commit)",
        "if (lane->state == LANE_GONE && lane->is_in_commit && lane->id == UINT64_MAX)")),
    "doubt": ("a commit whose end is unknown counts as failed", (
        DELIVERY + "engine_commits.c", "    *fate = COMMIT_DONE;\n",
        "    *fate = COMMIT_FAILED;\n")),
    "hope": ("a commit whose end is unknown counts as done", (
        DELIVERY + "engine_commits.c", "            *fate = COMMIT_FAILED;\n",
        "            *fate = COMMIT_DONE;\n")),
    "metadata": ("what is done above the committed offset is not told", (
        DELIVERY + "progress.c", "if (!runs.fits || runs.size == CRC_SIZE)",
        "if (!runs.fits || runs.size >= CRC_SIZE)")),
    "order": ("events of a key do not wait for each other", (
        DELIVERY + "engine.c", "if (engine->rule.order != FLOW_ORDER_NONE &&",
        "if (engine->rule.order == FLOW_ORDER_NONE &&")),
    "early": ("an offset is committed before what is below it is done", (
        DELIVERY + "progress.c", "    if (at < progress->count)\n        return mark_offset(",
        "    if (at < progress->count && at > 0)\n        return mark_offset(")),
    "forgotten": ("what a failed commit held is taken for done", (
        DELIVERY + "engine_commits.c", "    if (result->fate == COMMIT_DONE)\n",
        "    if (result->fate != COMMIT_REFUSED)\n")),
    "unsaid": ("dead letters are not written", (
        DELIVERY + "records.c", "    struct err err = delivery_add_output(delivery, &dead);",
        "    struct err err =\n        dead.topic == NULL ? delivery_add_output(delivery, &dead) : "
        "ERR_NONE;")),
    "kept": ("results of a partition that was lost are committed", (
        DELIVERY + "engine_commits.c",
        "        if (delivery->lane->state == LANE_GONE)\n            engine_drop",
        "        if (delivery->lane->state == LANE_GONE && delivery->lane->id == UINT64_MAX)\n"
        "            engine_drop")),
    "stuck": ("the next of a key is not called sometimes", (
        DELIVERY + "turns.c", "    if (was_holder && next != NULL)\n",
        "    if (was_holder && next != NULL && next->message.offset % 8 != 7)\n")),
    "overtaking": ("an event is parked before what is ahead of it", (
        DELIVERY + "engine_parking.c",
        "    if (before != NULL && before->parking != PARKING_NONE &&",
        "    if (before != NULL &&")),
    "abandoned": ("what is parked is not loaded", (
        DELIVERY + "engine_parking.c",
        "    return is_gone ? ERR_NONE : take_event(engine, lane, parked, &known);",
        "    return is_gone || known == NULL ? ERR_NONE\n"
        "                                    : take_event(engine, lane, parked, &known);")),
    "amnesia": ("what was done before is not known by a successor", (
        DELIVERY + "engine_inbox.c",
        "    if (lane == NULL || lane->state != LANE_LOADING)\n        return ERR_NONE;\n"
        "    return inbox_load",
        "    if (lane == NULL || lane->state == LANE_LOADING)\n        return ERR_NONE;\n"
        "    return inbox_load")),
    "credulous": ("what is done is not written to the inbox", (
        DELIVERY + "engine_inbox.c", "    if (size > 0)\n", "    if (size > 1000)\n")),
    "undead": ("what is parked stays there when it is done", (
        DELIVERY + "records.c", "    if (!delivery_is_parked(delivery))\n",
        "    if (!delivery_is_parked(delivery) || delivery->attempts < 9)\n")),
}


def catch(name, seeds):
    """A row: what is wrong, what found it, and in which seed; None: none did."""
    what, plant = PLANTS[name]
    with planting.planted(name, plant, "engine_sim_test"):
        done = planting.run("build/release/tests/engine_sim_test", 1, seeds, seconds=RUN_S)
    if done.returncode == 0:
        return None
    failed = re.search(r"seed (\d+): (.*)", done.stdout)
    if failed is not None:
        return f"| {what} | {failed[2]} | {failed[1]} |"
    check = re.search(r"check failed: (.*)", done.stdout)
    return f"| {what} | {check[0] if check else 'a crash'} | |"


if __name__ == "__main__":
    sys.exit(planting.main(__doc__, PLANTS, catch, 300))
