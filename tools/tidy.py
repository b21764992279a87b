#!/usr/bin/env python3
"""Checks what no compiler and no formatter checks: layers, the doors to the world, sizes, form.

    tidy.py [--root DIR] [--shrink]

Prints one line for each violation, "FILE:LINE: RULE: what is wrong", and exits 1 where there is
one. Reads three lists in tools/: layers.txt (who may include whom), tidy_allow.txt (exceptions,
each with its reason) and tidy_baseline.txt (sizes over the bound, which may only shrink; --shrink
lowers the entries that have shrunk). Standard library only.
"""

import argparse
import ast
import pathlib
import re
import sys
import tidy_c

# Pages that name code and tests: each name must exist.
PAGES = ("docs/TOUR.md", "docs/reliability.md", "docs/operating/durability.md")
CODE_SUFFIXES = {".c", ".h", ".py", ".sh", ".cmake"}
FOLDERS = ("src", "include", "tests", "tools", "cmake", "examples", "protocol", "docs", "packaging")
SKIPPED = {"build", "node_modules", "__pycache__", "target", ".deps"}
BOUNDS = {"function-lines": 70, "file-lines": 800, "parameters": 6, "columns": 100, "fields": 20}
UNFINISHED = re.compile(r"\b(TO" r"DO|FIX" r"ME)\b")


class Report:
    """Violations found, less the exceptions and the baseline."""

    def __init__(self, allow, baseline):
        self.allow = allow
        self.baseline = baseline
        self.allow_used = set()
        self.sizes = {}
        self.lines = []

    def add(self, file, line, rule, text):
        self.lines.append(f"{file}:{line}: {rule}: {text}")

    def forbid(self, file, line, rule, name, text):
        """A violation that tidy_allow.txt may except."""
        if (rule, file, name) in self.allow:
            self.allow_used.add((rule, file, name))
        else:
            self.add(file, line, rule, text)

    def measure(self, place, line, rule, size, what):
        """A size, held against its bound and against what the baseline lets stand."""
        if size <= BOUNDS[rule]:
            return
        file, _, name = place.partition(":")
        if (rule, file, name) in self.allow:
            self.allow_used.add((rule, file, name))
            return
        key = (rule, place)
        self.sizes[key] = max(size, self.sizes.get(key, 0))
        if size > self.baseline.get(key, 0):
            self.add(file, line, rule, f"{name or what} has {size}, the bound is {BOUNDS[rule]}")

    def finish(self, shrink):
        """Complains about entries of the lists that are no longer true."""
        for rule, file, name in sorted(self.allow.keys() - self.allow_used):
            self.add("tools/tidy_allow.txt", self.allow[rule, file, name], "stale",
                     f"nothing needs: {rule} {file} {name}")
        for key, size in sorted(self.baseline.items()):
            if self.sizes.get(key, 0) < size and not shrink:
                self.add("tools/tidy_baseline.txt", 1, "stale",
                         f"{key[0]} {key[1]} has shrunk; run tools/tidy.py --shrink")


def list_lines(path):
    """The lines of one of the lists that say something, with their numbers."""
    if not path.exists():
        return
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if line.strip() and not line.startswith("#"):
            yield number, line.strip()


def read_layers(path, report):
    """Module -> the modules it may include, from the chains of layers.txt."""
    below = {}
    for number, line in list_lines(path):
        under = set()
        for step in line.split("->"):
            modules = re.findall(r"\w+", step)
            if not modules:
                report.add("tools/layers.txt", number, "layers", "a chain has an empty step")
            for module in modules:
                below.setdefault(module, set()).update(under)
            under.update(modules)
    changed = True
    while changed:
        before = {module: len(others) for module, others in below.items()}
        for others in below.values():
            for other in list(others):
                others |= below[other]
        changed = before != {module: len(others) for module, others in below.items()}
    for module, others in sorted(below.items()):
        if module in others:
            report.add("tools/layers.txt", 1, "layers", f"{module} stands above itself")
    return below


def read_allow(path):
    """(rule, file, name) -> line. An entry without a reason is no entry."""
    allow = {}
    for number, line in list_lines(path):
        words = line.split(None, 3)
        if len(words) < 4:
            sys.exit(f"{path}:{number}: an exception is rule, file, name and reason")
        allow[tuple(words[:3])] = number
    return allow


def read_baseline(path):
    baseline = {}
    for _, line in list_lines(path):
        rule, place, size = line.split()
        baseline[rule, place] = int(size)
    return baseline


def write_baseline(path, report):
    head = [line for line in path.read_text().splitlines() if line.startswith("#")]
    kept = {key: min(size, report.sizes[key])
            for key, size in report.baseline.items() if key in report.sizes}
    body = [f"{rule} {place} {size}" for (rule, place), size in sorted(kept.items())]
    path.write_text("\n".join(head + body) + "\n")


def code_files(root):
    """Every checked file, by its path below the root."""
    for path in [root / "CMakeLists.txt", root / "Makefile"]:
        if path.exists():
            yield path
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if not SKIPPED & set(path.relative_to(root).parts) and path.is_file():
                yield path


def check_text(file, text, report):
    """What holds for code in every language."""
    lines = text.splitlines()
    report.measure(file, 1, "file-lines", len(lines), "the file")
    for number, line in enumerate(lines, 1):
        report.measure(file, number, "columns", len(line), "the line")
        if UNFINISHED.search(line):
            report.add(file, number, "unfinished", "finish it or open an issue")


def check_python(file, text, report):
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        report.add(file, error.lineno or 1, "syntax", str(error.msg))
        return
    if ast.get_docstring(tree) is None:
        report.add(file, 1, "opening", "open with a docstring that says what the file is for")
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            place = f"{file}:{node.name}"
            size = node.end_lineno - node.lineno + 1
            report.measure(place, node.lineno, "function-lines", size, "")
            names = [a.arg for a in node.args.posonlyargs + node.args.args + node.args.kwonlyargs]
            count = len([name for name in names if name not in ("self", "cls")])
            report.measure(place, node.lineno, "parameters", count, "")


def check_script(file, text, report):
    lines = [line for line in text.splitlines() if not line.startswith("#!")]
    if not lines or not lines[0].startswith("#"):
        report.add(file, 1, "opening", "open with a comment that says what the file is for")


def check_modules(root, layers, report):
    for folder in sorted((root / "src").glob("*/")):
        if folder.name not in layers:
            report.add(f"src/{folder.name}", 1, "layers", "this module is not in tools/layers.txt")
        if not (folder / "README.md").exists():
            report.add(f"src/{folder.name}", 1, "readme", "a module has a README.md")


def check_page(root, page, words, report):
    """Each `name` in a page of docs that looks like a path or an identifier exists."""
    path = root / page
    if not path.exists():
        return
    for number, line in enumerate(path.read_text().splitlines(), 1):
        for name in re.findall(r"`([^`\s]+)`", line):
            if re.fullmatch(r"[\w./-]+\.(c|h|py|msg|md|txt)|[\w-]+(/[\w.-]+)+/?", name):
                exists = any((root / base / name).exists() for base in ("", "src", "tests"))
                generated = root / "protocol" / (pathlib.Path(name).stem + ".msg")
                exists = exists or (name.startswith("wire/") and generated.exists())
            elif re.fullmatch(r"[a-zA-Z]\w*(\(\))?", name) and ("_" in name or "(" in name):
                exists = name.removesuffix("()") in words
            else:
                continue
            if not exists:
                report.add(page, number, "page", f"there is no {name}")


def check_configs(root, report):
    """Each property that config.h declares real is looked at by some code beside config's own."""
    header = root / "src/broker/config.h"
    found = re.search(r"^enum config_id \{\n(.*?)^\};", header.read_text(), re.M | re.S) \
        if header.exists() else None
    if not found:
        return
    words = set()
    for path in (root / "src").glob("*/*.c"):
        is_own = path.parent.name == "broker" and path.name.startswith("config")
        if not is_own and not path.name.endswith("_test.c"):
            words.update(re.findall(r"\bCONFIG_\w+", path.read_text()))
    for name in re.findall(r"\bCONFIG_\w+", found[1]):
        if name not in words and name != "CONFIG_ID_COUNT":
            report.add("src/broker/config.h", 1, "configs", f"{name} is declared and never read")


def check_tree(root, report):
    layers = read_layers(root / "tools/layers.txt", report)
    check_modules(root, layers, report)
    words = set()
    for path in code_files(root):
        file = path.relative_to(root).as_posix()
        if path.suffix not in CODE_SUFFIXES and path.name != "CMakeLists.txt":
            continue
        text = path.read_text(errors="replace")
        check_text(file, text, report)
        if path.suffix in (".c", ".h"):
            tidy_c.check_file(file, text, layers, report)
            words.update(re.findall(r"\w+", text))
        elif path.suffix == ".py":
            check_python(file, text, report)
            words.update(re.findall(r"\w+", text))
        else:
            check_script(file, text, report)
    for page in PAGES:
        check_page(root, page, words, report)
    check_configs(root, report)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path(__file__).parent.parent)
    parser.add_argument("--shrink", action="store_true", help="lower the baseline where it can be")
    options = parser.parse_args()
    root = options.root.resolve()
    baseline = root / "tools/tidy_baseline.txt"
    report = Report(read_allow(root / "tools/tidy_allow.txt"), read_baseline(baseline))
    check_tree(root, report)
    report.finish(options.shrink)
    if options.shrink and baseline.exists():
        write_baseline(baseline, report)
    for line in report.lines:
        print(line)
    return 1 if report.lines else 0


if __name__ == "__main__":
    sys.exit(main())
