#!/usr/bin/env python3
"""Simulates whole servers, a seed each, and asks the oracle about what their clients saw.

    run.py [--binary FILE] [--first SEED] [--seeds N] [--keep FILE] [--stop]

Prints what is wrong with a seed and the command that runs that one again, which does and sees the
same to the last byte; exits 1 where there was one. --stop ends at the first.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/oracle"))
import oracle  # noqa: E402

CHUNK = 10  # seeds of one process
REPEAT_EACH = 50  # of the seeds one is run again
CHECKS = tuple(c for c in oracle.SAFETY + oracle.COMPLETENESS
               if c is not oracle.something_happened)  # which is for all seeds together


def simulate(binary, first, count):
    """The output of a run of so many seeds, and what it said where it failed."""
    done = subprocess.run([binary, str(first), str(count)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, check=False)
    said = done.stderr.decode(errors="replace").strip()
    return done.stdout, None if done.returncode == 0 else said or f"exit code {done.returncode}"


def histories(output):
    """(seed, lines) of each seed in a run's output."""
    found = []
    for line in output.splitlines():
        if line.startswith(b'{"op":"seed"'):
            found.append((json.loads(line)["seed"], []))
        else:
            found[-1][1].append(line)
    return found


def judge(lines):
    """What is wrong, as texts, and how often which kind of thing happened."""
    history = oracle.History()
    history.take(lines, "simulator")
    happened = {op: len(events) for op, events in history.ops.items()}
    for how in history.fates.values():
        happened[how] = happened.get(how, 0) + 1
    return list(oracle.describe(oracle.judge(history, CHECKS))), happened


def run_chunk(binary, first, count):
    """(failures: (seed, texts), happened) of some seeds; the process ends at one that fails."""
    failures, sums, next_seed = [], {}, first
    while next_seed < first + count:
        output, said = simulate(binary, next_seed, first + count - next_seed)
        found = histories(output)
        last = found[-1][0] if found else next_seed
        whole = found if said is None else found[:-1]
        for seed, lines in whole:
            wrong, happened = judge(lines)
            sums = {key: sums.get(key, 0) + happened.get(key, 0) for key in {*sums, *happened}}
            if wrong:
                failures.append((seed, wrong))
        if said is not None:
            failures.append((last, [said]))
        next_seed = last + 1
    return failures, sums


def report(options, failures):
    for seed, texts in failures:
        print(f"seed {seed}:")
        for text in texts:
            print("   ", text)
        print(f"    again: python3 tests/sim/run.py --binary {options.binary} --first {seed} "
              "--seeds 1 --keep history.jsonl", flush=True)


def run(options):
    """All failures, and what happened in all seeds."""
    starts = range(options.first, options.first + options.seeds, CHUNK)
    failures, sums = [], {}
    with concurrent.futures.ProcessPoolExecutor(os.cpu_count()) as pool:
        chunks = [pool.submit(run_chunk, options.binary, at,
                              min(CHUNK, options.first + options.seeds - at)) for at in starts]
        for chunk in chunks:
            found, happened = chunk.result()
            report(options, found)
            failures += found
            sums = {key: sums.get(key, 0) + happened.get(key, 0) for key in {*sums, *happened}}
            if failures and options.stop:
                pool.shutdown(cancel_futures=True)
                break
    return failures, sums


def changing_seeds(options):
    """Those of a sample that do not do the same twice."""
    for seed in range(options.first, options.first + options.seeds, REPEAT_EACH):
        first, _ = simulate(options.binary, seed, 1)
        again, _ = simulate(options.binary, seed, 1)
        if first != again:
            yield seed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--binary", default=ROOT / "build/release/tests/server_sim")
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--keep", type=pathlib.Path, help="write the history of the first here")
    parser.add_argument("--stop", action="store_true")
    options = parser.parse_args()
    if options.keep:
        options.keep.write_bytes(simulate(options.binary, options.first, 1)[0])
    failures, sums = run(options)
    missing = {"ack", "read", "commit", "offset", "generation", "marks", "stored", "final",
               "committed", "aborted", "follow"} - {key for key, count in sums.items() if count}
    print(f"{options.seeds} seeds, {len(failures)} failed: "
          + ", ".join(f"{sums[key]} {key}" for key in sorted(sums)))
    if missing and not failures:
        print(f"nothing proven: no {', '.join(sorted(missing))}")
    changing = list(changing_seeds(options))
    for seed in changing:
        print(f"seed {seed} is not the same twice")
    return 1 if failures or missing or changing else 0


if __name__ == "__main__":
    sys.exit(main())
