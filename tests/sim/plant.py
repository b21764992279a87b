#!/usr/bin/env python3
"""Shows that the simulated servers bite: plants a defect, and runs seeds until one fails.

    plant.py [--only NAME,...] [--seeds N]

Prints a row of docs/reliability.md for each planted defect: what it is, what found it, and the
first of the seeds 1, 2, 3 ... that did. Exits 1 where none of N did.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
import planting  # noqa: E402

SYNC_DATA = "file_sync_data(store->options.files, job->files[i]->file)"
RUN_S = 900

# name -> what is wrong, and the one place that is changed for it
PLANTS = {
    "ack": ("acks=all is answered at the append, not when it is durable", (
        "src/broker/partition.c",
        "watermark_raise(partition, log_durable_offset(partition->log), &taken);",
        "watermark_raise(partition, log_end_offset(partition->log), &taken);")),
    "sync": ("segments are not synced", (
        "src/storage/flush.c", SYNC_DATA, f"true ? ERR_NONE : {SYNC_DATA}")),
    "recovery": ("recovery takes the last whole batch for torn", (
        "src/storage/scan.c", "if (*fault == BATCH_FINE && (int64_t)header->size > rest)",
        "if (*fault == BATCH_FINE && (int64_t)header->size >= rest)")),
    "duplicate": ("a batch that is sent again is appended again", (
        "src/broker/producer_state.c", "    if (stored != NULL) {\n",
        "    if (stored != NULL && header->base_sequence < 0) {\n")),
    "gap": ("a producer's sequence may have gaps", (
        "src/broker/producer_state.c",
        "return is_next ? PRODUCER_IN_ORDER : PRODUCER_OUT_OF_ORDER;",
        "return is_next || last >= 0 ? PRODUCER_IN_ORDER : PRODUCER_OUT_OF_ORDER;")),
    "snapshot": ("producers are forgotten at a start from a checkpoint", (
        "src/broker/partition.c", "    if (bytes.size == 0)\n        return ERR_NONE;\n",
        "    if (bytes.size != 0)\n        return ERR_NONE;\n")),
    "epoch": ("a fenced producer may write", (
        "src/broker/producer_state.c", "    if (header->producer_epoch < entry->epoch)\n",
        "    if (header->producer_epoch < entry->epoch - INT16_MAX)\n")),
    "aborted": ("readers are not told which transactions were aborted", (
        "src/api/fetch_set.c", "answer->aborted_transactions_count = (int32_t)count;",
        "answer->aborted_transactions_count = 0;")),
    "stable": ("open transactions do not hold up the last stable offset", (
        "src/broker/partition.c", "        .stable = stable,\n",
        "        .stable = watermark + 0 * stable,\n")),
    "markers": ("a decided end is not taken up at the start", (
        "src/coord/transaction_log.c", "        if (transaction->partition_index == index)\n",
        "        if (transaction->partition_index == index &&\n"
        "            transaction->facts.state == TRANSACTION_ONGOING)\n")),
    "aborted-offsets": ("offsets of an aborted transaction count", (
        "src/coord/offsets_transaction.c", "if (is_commit)\n            apply(",
        "if (is_commit || end_offset > 0)\n            apply(")),
    "generation": ("a commit from an older generation counts", (
        "src/coord/offsets_commit.c",
        "    if (request->generation_id_or_member_epoch != group->generation)\n",
        "    if (request->generation_id_or_member_epoch > group->generation)\n")),
    "commit": ("a commit is answered before it is durable", (
        "src/api/offset_commit.c", "    if (work->commit.partition != NULL &&\n",
        "    if (work->commit.partition != NULL && work->commit.end_offset < 0 &&\n")),
    "expiry": ("members that are silent stay", (
        "src/coord/membership.c", "    else\n        membership_remove(member->group, member);\n",
        "    else if (member->group == NULL)\n"
        "        membership_remove(member->group, member);\n")),
    "rebalance": ("the generation does not rise when a group is formed anew", (
        "src/coord/rebalance.c",
        "group->generation = group->generation == INT32_MAX ? 0 : group->generation + 1;",
        "group->generation = group->generation == 0 ? 1 : group->generation;")),
    "order": ("answers leave as they are made, not in the order of the requests", (
        "src/api/session.c",
        "        if (request->state != REQUEST_REPLIED)\n            break;\n",
        "        struct list *next = session->requests.next;\n"
        "        while (next != &session->requests &&\n"
        "               LIST_ENTRY(next, struct request, link)->state != REQUEST_REPLIED)\n"
        "            next = next->next;\n"
        "        if (next == &session->requests)\n            break;\n"
        "        request = LIST_ENTRY(next, struct request, link);\n")),
    "timeout": ("transactions whose time is over stay open", (
        "src/coord/transactions.c",
        "&transaction->timer, left_ms > 0 ? left_ms : 0);",
        "&transaction->timer, left_ms + 86400000);")),
    "bump": ("the end of a transaction does not raise the epoch (KIP-890)", (
        "src/coord/transaction.c",
        "        next.epoch = (int16_t)(facts->epoch + (facts->epoch < INT16_MAX));\n    }\n"
        "    change(verdict, &next);",
        "        next.epoch = facts->epoch;\n    }\n    change(verdict, &next);")),
    "session": ("a fetch session is not told of what is appended while it waits", (
        "src/api/fetch_set.c", "    if (list_is_empty(&entry->dirty))\n"
        "        list_append(&set->dirty, &entry->dirty);\n",
        "    if (list_is_empty(&entry->dirty) && size > 100000)\n"
        "        list_append(&set->dirty, &entry->dirty);\n")),
    "memory": ("a request that finds no memory is passed over", (
        "src/api/session.c",
        "    if (err_failed(err)) {\n        session_fail(session, NULL, err);\n"
        "        return err;\n    }\n    struct request_header header;",
        "    if (err_failed(err))\n        return ERR_NONE;\n    struct request_header header;")),
    "unprepared": ("what noting a batch needs is not all allocated before it is written", (
        "src/broker/transaction_index.c",
        "    TRY(aborted_reserve(index, index->aborted_count + 1));\n"
        "    if (map_get(&index->open, key_of(&producer_id)) != NULL)\n"
        "        return ERR_NONE;\n",
        "    if (map_get(&index->open, key_of(&producer_id)) != NULL)\n"
        "        return aborted_reserve(index, index->aborted_count + 1);\n")),
}


def catch(name, seeds):
    """A row: what is wrong, what found it, and the first seed that did; None: none did."""
    what, plant = PLANTS[name]
    with planting.planted(name, plant, "server_sim"):
        done = planting.run("python3", "tests/sim/run.py", "--binary",
                            "build/release/tests/server_sim", "--seeds", seeds, "--stop",
                            seconds=RUN_S)
    failed = re.search(r"^seed (\d+):\n +(.*)$", done.stdout, re.M)
    if failed is None:
        return None
    print(done.stdout, file=sys.stderr, flush=True)
    by = re.sub(r": \d+$", "", failed[2]).replace("seed " + failed[1] + ": ", "")
    return f"| {what} | {by} | {failed[1]} |"


if __name__ == "__main__":
    sys.exit(planting.main(__doc__, PLANTS, catch, 200))
