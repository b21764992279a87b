#!/usr/bin/env python3
"""Writes files into a C source, for `headrace flow init`.

    embed.py --out FILE.c LANGUAGE:NAME=PATH...

The source defines flow_templates (src/cli/flow_templates.h): for each file its language, its name
in the user's folder, and its text.
"""

import argparse
import pathlib



def literal(text):
    """The text as C string literals, a line each."""
    lines = []
    for line in text.splitlines(keepends=True):
        escaped = "".join(escape(character) for character in line)
        lines.append(f'        "{escaped}"')
    return "\n".join(lines)


def escape(character):
    if character == "\n":
        return "\\n"
    if character in '"\\':
        return "\\" + character
    if character == "\t":
        return "\\t"
    if not " " <= character <= "~":
        raise SystemExit(f"embed: {character!r} is not plain ASCII")
    return character


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("files", nargs="+", metavar="LANGUAGE:NAME=PATH")
    args = parser.parse_args()
    rows = []
    for word in args.files:
        target, path = word.split("=", 1)
        language, name = target.split(":", 1)
        text = pathlib.Path(path).read_text(encoding="ascii")
        rows.append(f'    {{"{language}", "{name}",\n{literal(text)}}},')
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(
        "/* Written by tools/embed.py. */\n#include \"cli/flow_templates.h\"\n\n"
        "const struct flow_template flow_templates[] = {\n" + "\n".join(rows) +
        "\n    {NULL, NULL, NULL},\n};\n", encoding="ascii")


if __name__ == "__main__":
    main()
