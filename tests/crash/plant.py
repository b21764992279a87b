#!/usr/bin/env python3
"""Shows that the lossy loops bite: plants a defect in a scratch copy, kills until it is caught.

    plant.py [--only NAME,...] [--rounds N] [--loop crash|streams]

Each round has ROUND_KILLS kills, of each side in the loop of Kafka Streams, and a seed of its own.
Prints a row of docs/reliability.md for each planted defect; exits 1 where one is not caught.
"""

import argparse
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests/support"))
import planting  # noqa: E402

LOOPS = {"crash": HERE / "run.py", "streams": ROOT / "tests/streams/run.py"}
ROUND_KILLS = 10
ROUND_S = 300

SYNC_DATA = "file_sync_data(store->options.files, job->files[i]->file)"


def unless(condition):
    """No sync of a segment where the condition holds."""
    return "src/storage/flush.c", SYNC_DATA, f"{condition} ? ERR_NONE : {SYNC_DATA}"


def unless_log(name):
    return unless(f'strncmp(log->name, "{name}", {len(name)}) == 0')


# name -> what is missing or wrong, and the one place that is changed for it: file, text, other text
PLANTS = {
    "ack": ("an append is durable at once: acks=all answers before the sync", (
        "src/broker/partition.c",
        "watermark_raise(partition, log_durable_offset(partition->log), &taken);",
        "watermark_raise(partition, log_end_offset(partition->log), &taken);")),
    "data": ("fdatasync of segments", unless("true")),
    "second": ("fdatasync of all but the first of a log's unsynced segments", unless("i > 0")),
    "metadata": ("fdatasync of the metadata log", unless_log("__headrace_metadata")),
    "offsets": ("fdatasync of `__consumer_offsets`", unless_log("__consumer_offsets")),
    "transactions": ("fdatasync of `__transaction_state`", unless_log("__transaction_state")),
    "names": ("sync of the folders of logs", (
        "src/storage/flush.c", "if (job->has_dir_changes)\n",
        "if (job->has_dir_changes && log->bounds.end < 0)\n")),
    "root": ("sync of the data folder after a new topic's folder", (
        "src/storage/store.c", "struct err err = dir_sync(store->options.files, store->dir);\n"
        "    if (err_is(err, ERR_LIMIT))", "struct err err = ERR_NONE;\n"
        "    if (err_is(err, ERR_LIMIT))")),
    "manifest": ("fdatasync of the manifest", (
        "src/storage/manifest.c", "file_sync_data(manifest->files, file);",
        "file >= 0 ? ERR_NONE : file_sync_data(manifest->files, file);")),
    "aborted-offsets": ("offsets of an aborted transaction count", (
        "src/coord/offsets_transaction.c", "if (is_commit)\n            apply(",
        "if (is_commit || end_offset > 0)\n            apply(")),
    "generation": ("members that a group has given up may commit in transactions", (
        "src/coord/offsets_commit.c",
        "if (code != KAFKA_NONE)\n        return code;\n    if (request->generation",
        "if (is_transactional)\n        return KAFKA_NONE;\n    if (code != KAFKA_NONE)\n"
        "        return code;\n    if (request->generation")),
    "aborted-records": ("readers are not told which transactions were aborted", (
        "src/api/fetch_set.c", "answer->aborted_transactions_count = (int32_t)count;",
        "answer->aborted_transactions_count = 0;")),
}


def catch(name, rounds, loop):
    """What caught the planted defect, and within how many kills; None: nothing did."""
    what, plant = PLANTS[name]
    with planting.planted(name, plant, "headrace_lossy"):
        for number in range(1, rounds + 1):
            done = planting.run("python3", LOOPS[loop], "--lossy", "--binary",
                                planting.COPY / "build/release/tests/headrace_lossy", "--out",
                                planting.COPY / "build" / name, "--kills", ROUND_KILLS, "--seed",
                                number, seconds=ROUND_S)
            if done.returncode:
                print(done.stdout, file=sys.stderr, flush=True)
                checks = re.findall(r"^(\w+): \d+$", done.stdout, re.M)
                kills = int(re.search(r"^(\d+) kills in", done.stdout, re.M)[1])
                kills += (number - 1) * ROUND_KILLS
                by = ", ".join(checks).replace("run", "a client gave up")
                return f"| {what} | {by} | {kills} |"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(PLANTS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--loop", choices=LOOPS, default="crash")
    options = parser.parse_args()
    planting.make_copy()
    missed = 0
    for name in options.only.split(","):
        row = catch(name, options.rounds, options.loop)
        missed += row is None
        print(row or f"| {PLANTS[name][0]} | nothing | > {options.rounds * ROUND_KILLS} |",
              flush=True)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
