#!/usr/bin/env python3
"""configs: writes docs/reference/configs.md from what the binary says of itself.

    tools/configs.py BINARY          writes the page
    tools/configs.py BINARY --check  ends with 1 where the page says something else
"""

import json
import pathlib
import subprocess
import sys

PAGE = pathlib.Path(__file__).resolve().parents[1] / "docs/reference/configs.md"
HEAD = """# Properties

Written by `tools/configs.py` from `headrace config list --all`; a test compares. Names and meanings
are Kafka's; `headrace.` begins our own. A property with a topic config can be set for one topic
too: `headrace topic config TOPIC --set-config name=value`.
"""


def cell(text):
    return text.replace("|", "\\|").replace("<", "&lt;")


def table(columns, rows):
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(cell(c) for c in row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def code(text):
    return f"`{text}`" if text else ""


def page(listed):
    real = [r for r in listed if not r["effect"]]
    known = [r for r in listed if r["effect"] == "no effect"]
    refused = [r for r in listed if r["effect"] == "refused"]
    return "\n".join([
        HEAD,
        table(["Property", "Topic config", "Type", "Default", "Meaning"],
              [(code(r["property"]), code(r["topic_config"]), r["type"], code(r["default"]),
                r["meaning"]) for r in real]),
        "## Taken without effect\n",
        "A file that sets one of these gets a warning with the reason.\n",
        table(["Property", "Why"], [(code(r["property"]), r["meaning"]) for r in known]),
        "## Topic configs that are refused\n",
        table(["Topic config", "Why"], [(code(r["topic_config"]), r["meaning"]) for r in refused]),
    ])


def main(binary, *options):
    done = subprocess.run([binary, "config", "list", "--all", "--format", "json"], check=True,
                          capture_output=True, timeout=30)
    text = page(json.loads(done.stdout))
    if "--check" not in options:
        PAGE.write_text(text, encoding="utf-8")
    elif PAGE.read_text(encoding="utf-8") != text:
        print(f"{PAGE.name} is not what the binary says: run tools/configs.py {binary}",
              file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
