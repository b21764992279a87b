#!/usr/bin/env python3
"""An unclean start with very many partitions: `many.py [--binary FILE] [--partitions N] [--lossy]`.

Every partition gets an acknowledged record; the server is killed while the next ones are on their
way, starts again, and must hold every record that it acknowledged. Prints how long the start took.
"""

import argparse
import json
import pathlib
import shutil
import sys
import time

import run  # which finds the rest
import killable
import oracle
import process
import raw
import stored
import toolchains

PART_COUNT = 1000  # partitions of one topic
FILL_S = 120
LATER_ACKS = 100   # of the second filling, before the kill
CHECKS = (oracle.acknowledged_is_stored, oracle.offsets_are_contiguous,
          oracle.nothing_is_stored_twice)


def start_fill(server, out, number):
    path = out / f"fill{number}.jsonl"
    command = [toolchains.OUT / "venv/bin/python", run.HERE / "client.py", "fill",
               server.address(), f"fill{number}", path, "0", "0", "1"]
    return process.Child(command, out / f"fill{number}.stderr"), path


def ack_count(path):
    return path.read_text().count('"op": "ack"') if path.exists() else 0


def fill_and_kill(server, out):
    """Fills all partitions, then some again; returns how long the start after the kill took."""
    first, _ = start_fill(server, out, 1)
    code = first.popen.wait(FILL_S)
    first.close()
    if code:
        raise RuntimeError(first.stderr_tail())
    second, path = start_fill(server, out, 2)
    process.poll_until(lambda: ack_count(path) > LATER_ACKS, FILL_S, "the second filling")
    server.kill()
    second.kill()
    second.close()
    begin = time.monotonic()
    server.start()
    return time.monotonic() - begin


def note_stored(server, topics, path):
    conn = raw.Raw("127.0.0.1", server.port)
    with open(path, "w", encoding="utf-8") as history:
        for topic in topics:
            for partition in range(PART_COUNT):
                for offset, value in stored.records(conn, topic, partition):
                    history.write(json.dumps({
                        "op": "stored", "pass": 1, "topic": topic, "partition": partition,
                        "offset": offset, "value": value}) + "\n")
    conn.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=pathlib.Path,
                        default=run.ROOT / "build/release/headrace")
    parser.add_argument("--partitions", type=int, default=10_000)
    parser.add_argument("--lossy", action="store_true", help="the binary is headrace_lossy")
    options = parser.parse_args()
    options.keep_percent = 0
    out = run.ROOT / "build/crash-many"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    topics = [f"many{number}" for number in range(options.partitions // PART_COUNT)]
    server = killable.Server(options, out, run.SETTINGS)
    try:
        conn = raw.Raw("127.0.0.1", server.port)
        for topic in topics:
            conn.create_topic(topic, PART_COUNT)
        conn.close()
        seconds = fill_and_kill(server, out)
        note_stored(server, topics, out / "stored.jsonl")
    finally:
        server.child.kill()
    history = oracle.load(sorted(out.glob("*.jsonl")))
    wrong = [line for check in CHECKS for line in check(history)]
    for line in wrong[:oracle.SHOWN_MAX]:
        print(line)
    print(f"{options.partitions} partitions: ready {seconds * 1000:.0f} ms after a kill; "
          f"{len(history.ops['ack'])} acknowledged, {len(wrong)} wrong")
    return 1 if wrong or len(history.ops["ack"]) < options.partitions else 0


if __name__ == "__main__":
    sys.exit(main())
