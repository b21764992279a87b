#!/usr/bin/env python3
"""flow_page: writes docs/reference/flow.schema.json and flow-file.md from what the binary says.

    tools/flow_page.py BINARY          writes both
    tools/flow_page.py BINARY --check  ends with 1 where one says something else
"""

import json
import pathlib
import subprocess
import sys

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "docs/reference"
HEAD = """# The flow file

Written by `tools/flow_page.py` from `headrace flow schema`; a test compares. The schema itself is
[flow.schema.json](flow.schema.json): an editor that knows YAML schemas completes and checks by it.

`headrace flow check FILE` tells every problem of a file with its line and column. `${NAME}` in a
value is the environment's, `${file:PATH}` a file's text without its last line end, `$$` a dollar.
Durations are written 250ms, 10s, 5m, 2h, 7d; sizes 4096, 64KiB, 1MiB; rates 100/s, 30/m. Names are
letters, digits, `.`, `_` and `-`. Anchors, aliases and tags of YAML are refused. A renamed handler
is a new consumer group and begins anew.
"""


def kind(field):
    """What a value is, in a word or its pattern's own."""
    if "additionalProperties" in field and field["additionalProperties"] is not False:
        return "named things"
    if "properties" in field:
        return "keys below"
    if "anyOf" in field:
        return "a name or a list"
    pattern = field.get("pattern", "").split("$|")[0]
    if "minimum" in field:
        return f"{field['minimum']} to {field['maximum']}"
    known = {"^([A-Za-z0-9._-]+)": "a name", "^(https?://[^/:?#].*)": "a URL",
             "^([0-9]+(ms|s|m|h|d))": "a duration", "^([0-9]+%)": "a share",
             "^([0-9]+(KiB|MiB|GiB)?)": "a size", "^([0-9]+/[sm])": "a rate", "": "text"}
    return known.get(pattern) or pattern[2:-1].split("|[0-9]", maxsplit=1)[0].replace("|", ", ")


def rows(shape, before=""):
    """A row for each key, nested ones behind theirs."""
    for name, field in shape["properties"].items():
        path = before + name
        is_map = "named" in kind(field)
        needed = "required" if name in shape.get("required", ()) else field.get("default", "")
        yield path, kind(field), needed, field["description"]
        inner = field["additionalProperties"] if is_map else field
        if "properties" in inner:
            yield from rows(inner, f"{path}.<name>." if is_map else f"{path}.")


def page(schema):
    lines = [HEAD, "| Key | Value | Default | |", "|---|---|---|---|"]
    for path, what, default, doc in rows(schema):
        cells = [f"`{path}`", what, default, doc.replace("<", "&lt;").replace("|", "\\|")]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    schema = subprocess.run([sys.argv[1], "flow", "schema"], check=True, stdout=subprocess.PIPE,
                            text=True).stdout
    texts = {"flow.schema.json": schema, "flow-file.md": page(json.loads(schema))}
    if "--check" not in sys.argv:
        for name, text in texts.items():
            (FOLDER / name).write_text(text, encoding="utf-8")
        return 0
    stale = [name for name, text in texts.items()
             if not (FOLDER / name).exists()
             or (FOLDER / name).read_text(encoding="utf-8") != text]
    for name in stale:
        print(f"docs/reference/{name} is not what the binary says: make docs")
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
