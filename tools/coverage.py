#!/usr/bin/env python3
"""coverage: which lines of src the tests in a build folder ran.

    coverage.py BUILD               per module; exit code 1 where one is below its floor
    coverage.py BUILD --uncovered   the functions with lines that no test ran, and which

Branches that a CHECK never takes and lines that cannot be reached are counted like any others.
docs/uncovered.md names the functions that have lines which no test ran, and why.
"""

import argparse
import collections
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
FLOORS = {"wire": 90, "record": 90, "storage": 90, "broker": 90, "coord": 90}
PAGE = ROOT / "docs/uncovered.md"
UNNAMED_LINE_COUNT_MAX = 25  # which lines run depends a little on the timing of threads
FUNCTION = re.compile(r"^(?!static_assert|_Static_assert)[a-z].*?\b(\w+)\(")


def measure(build):
    """{file: {line: count}} of src without its tests."""
    report = build / "coverage.json"
    subprocess.run(
        ["gcovr", "--root", ROOT, "--object-directory", build, "--filter", "src/",
         "--exclude", r".*_test\.c", "--gcov-ignore-parse-errors", "--json", report],
        cwd=ROOT, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    files = json.loads(report.read_text(encoding="utf-8"))["files"]
    return {f["file"]: {line["line_number"]: line["count"] for line in f["lines"]
                        if not line.get("gcovr/noncode")} for f in files}


def functions(path):
    """The lines where the functions of a source file begin, and their names."""
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    return [(number, match[1]) for number, line in enumerate(lines, 1)
            if (match := FUNCTION.match(line)) and not line.rstrip().endswith(";")]


def name_at(begins, number):
    return next((name for begin, name in reversed(begins) if begin <= number), "")


def uncovered(files):
    """(path, function, lines) of each function with lines that no test ran."""
    for path, counts in sorted(files.items()):
        if path.split("/")[1] not in FLOORS:
            continue
        begins = functions(path)
        missed = collections.defaultdict(list)
        for number, count in sorted(counts.items()):
            if count == 0:
                missed[name_at(begins, number)].append(str(number))
        for name, numbers in missed.items():
            yield path, name, numbers


def named():
    """(path, function) of each that the page names."""
    found = set()
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if row := re.match(r"\| `([\w/]+\.c)` \| (.*) \|$", line):
            found |= {(f"src/{row[1]}", name) for name in re.findall(r"`(\w+)`", row[2])}
    return found


def count_unnamed(files):
    """Prints what the page does not name; returns how many lines that are."""
    known, count = named(), 0
    for path, name, numbers in uncovered(files):
        if (path, name) not in known:
            count += len(numbers)
            print(f"not in docs/uncovered.md: {path}:{name}: {' '.join(numbers)}")
    return count


def print_modules(files):
    """Returns the modules below their floors."""
    sums = collections.defaultdict(lambda: [0, 0])
    for path, counts in files.items():
        module = sums[path.split("/")[1]]
        module[0] += len(counts)
        module[1] += sum(count > 0 for count in counts.values())
    low = []
    for module, (all_, run) in sorted(sums.items()):
        share = 100 * run / all_
        floor = FLOORS.get(module)
        bound = f", floor {floor} %" if floor else ""
        print(f"{module:10} {share:6.1f} % of {all_} lines{bound}")
        if floor and share < floor:
            low.append(module)
    return low


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--uncovered", action="store_true")
    args = parser.parse_args()
    files = measure(args.build.resolve())
    if args.uncovered:
        for path, name, numbers in uncovered(files):
            print(f"{path}:{name}: {' '.join(numbers)}")
        return 0
    unnamed_count = count_unnamed(files)
    low = print_modules(files)
    missing = FLOORS.keys() - {path.split("/")[1] for path in files}
    if low or missing:
        print(f"coverage: below the floor: {', '.join([*low, *sorted(missing)])}", file=sys.stderr)
    if unnamed_count > UNNAMED_LINE_COUNT_MAX:
        print(f"coverage: {unnamed_count} uncovered lines in functions that docs/uncovered.md does "
              "not name", file=sys.stderr)
    return 1 if low or missing or unnamed_count > UNNAMED_LINE_COUNT_MAX else 0


if __name__ == "__main__":
    sys.exit(main())
