"""Defects planted into a scratch copy of the tree, to show that a test bites.

A plant is one place that is changed: a file, the text that is there exactly once, another text.
Where the text is not there, the defect has lost its place, and that is an error.
"""

import argparse
import contextlib
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
COPY = ROOT / "build/plant"
SHARED = (".deps", "build/interop")  # libraries and clients that were built
BUILD_S = 900


def run(*argv, seconds):
    """Runs a command in the copy; its output is one text."""
    return subprocess.run([str(a) for a in argv], cwd=COPY, timeout=seconds, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def make_copy():
    """The tracked files as they are."""
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, stdout=subprocess.PIPE,
                           text=True).stdout.split()
    for name in names:
        target = COPY / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists() or target.read_bytes() != (ROOT / name).read_bytes():
            shutil.copy(ROOT / name, target)
    (COPY / "build").mkdir(exist_ok=True)
    for name in SHARED:
        if (ROOT / name).exists() and not (COPY / name).exists():
            os.symlink(ROOT / name, COPY / name)


def build(target):
    for argv in (("cmake", "--preset", "release"), ("ninja", "-C", "build/release", target)):
        done = run(*argv, seconds=BUILD_S)
        if done.returncode:
            sys.exit(done.stdout[-3000:])


@contextlib.contextmanager
def planted(name, plant, target):
    """The copy with the defect in it, built; without it again afterwards."""
    file, old, new = plant
    path = COPY / file
    text = path.read_text(encoding="utf-8")
    if text.count(old) != 1:
        sys.exit(f"{name}: {file} has changed, the defect has no place")
    path.write_text(text.replace(old, new), encoding="utf-8")
    try:
        build(target)
        yield
    finally:
        path.write_text(text, encoding="utf-8")


def main(description, plants, catch, seeds):
    """The command line of a file of plants; catch(name, seeds) gives a row, or None. Exit code."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0])
    parser.add_argument("--only", default=",".join(plants))
    parser.add_argument("--seeds", type=int, default=seeds)
    options = parser.parse_args()
    make_copy()
    missed = 0
    for name in options.only.split(","):
        row = catch(name, options.seeds)
        missed += row is None
        print(row or f"| {plants[name][0]} | nothing | > {options.seeds} |", flush=True)
    return 1 if missed else 0
