#!/usr/bin/env python3
"""Compares every definition in protocol/ with Apache Kafka's own.

    compare.py --jar FILE... [--reference DIR]

Kafka's definitions are JSON with comments, inside its jars under common/message/. A folder of such
files (or of folders of them) may stand in for records that no given jar carries. Compared are API
keys, versions, flexible versions, and of each field in order: name, type, versions, nullable
versions, default, tag, ignorable, and whether it is compact. Names of structs are ours. Our own
records (entry) have nothing to be compared with. Exits 1 where anything differs.
"""

import argparse
import json
import pathlib
import re
import sys
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools"))
import definitions  # noqa: E402  (found by the line above)

EMPTY_DEFAULTS = {"": None, "0": None, "false": None}


def load_json(text):
    return json.loads(re.sub(r"^\s*//.*$", "", text, flags=re.MULTILINE))


def load_kafka(jars, reference):
    """Kafka's definitions by name. Jars win over the reference folder."""
    found = {}
    for path in sorted(reference.rglob("*.json")) if reference else []:
        text = path.read_text(encoding="utf-8")
        if '"validVersions"' in text:
            message = load_json(text)
            found[message["name"]] = message
    for jar in jars:
        with zipfile.ZipFile(jar) as archive:
            for entry in archive.namelist():
                if re.fullmatch(r"common/message/\w+\.json", entry):
                    message = load_json(archive.read(entry).decode("utf-8"))
                    found[message["name"]] = message
    return found


def kafka_range(text, outer):
    """Kafka's "3", "3-5", "3+" or "none", cut to outer; None where nothing is left."""
    if text in (None, "none"):
        return None
    match = re.fullmatch(r"(\d+)(?:(\+)|-(\d+))?", text)
    low = int(match[1])
    high = outer.high if match[2] else int(match[3] or low)
    cut = definitions.Range(max(low, outer.low), min(high, outer.high))
    return cut if cut.low <= cut.high else None


def cut(versions, outer):
    if versions is None:
        return None
    both = definitions.Range(max(versions.low, outer.low), min(versions.high, outer.high))
    return both if both.low <= both.high else None


def plain(name):
    """Names are compared without case and underscores: TopicId is topic_id."""
    return name.replace("_", "").lower()


def default_text(value):
    """A default in one form: None for the type's own, numbers in decimal."""
    if value is None:
        return None
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if re.fullmatch(r"-?(0x[0-9a-fA-F]+|\d+)", text):
        text = str(int(text, 0))
    return EMPTY_DEFAULTS.get(text, text)


def kafka_facts(item, outer):
    """What is compared of one of Kafka's fields, and the versions its inner fields are cut to."""
    versions = kafka_range(item.get("versions", item.get("taggedVersions")), outer)
    if versions is None:
        return None, None
    base = item["type"].removeprefix("[]")
    tagged = kafka_range(item.get("taggedVersions"), versions)
    return {
        "name": plain(item["name"]),
        "type": "struct" if base[0].isupper() else base,
        "array": item["type"].startswith("[]"),
        "versions": versions,
        "nullable": kafka_range(item.get("nullableVersions"), versions),
        "default": default_text(item.get("default")),
        "tag": (int(item["tag"]), tagged) if "tag" in item else None,
        "ignorable": str(item.get("ignorable", False)).lower() == "true",
        "compact": item.get("flexibleVersions") != "none",
    }, versions


def our_facts(item, outer):
    versions = cut(item.versions, outer)
    if versions is None:
        return None, None
    return {
        "name": plain(item.name),
        "type": item.type,
        "array": item.array,
        "versions": versions,
        "nullable": cut(item.nullable, versions),
        "default": default_text(item.default),
        "tag": (item.tag, versions) if item.tag is not None else None,
        "ignorable": item.ignorable,
        "compact": not item.rigid,
    }, versions


class Comparison:
    """Collects differences."""

    def __init__(self):
        self.differences = []
        self.field_count = 0

    def check(self, where, what, ours, kafkas):
        if ours != kafkas:
            self.differences.append(f"{where}: {what} is {ours} here, {kafkas} in Kafka")

    def compare_message(self, message, kafka):
        valid = kafka_range(kafka["validVersions"], definitions.Range(0, definitions.NEWEST))
        self.check(message.name, "versions", str(message.versions), str(valid))
        flexible = kafka_range(kafka["flexibleVersions"], valid)
        self.check(message.name, "flexible", message.flexible, flexible and flexible.low)
        if message.kind == "request":  # Kafka marks only these
            self.check(message.name, "unstable", message.unstable,
                       kafka.get("latestVersionUnstable", False))
        if message.kind in ("request", "response", "key"):
            self.check(message.name, "number", message.number, kafka.get("apiKey"))
        if message.kind in ("request", "response"):
            self.check(message.name, "kind", message.kind, kafka["type"])
        commons = {c["name"]: c["fields"] for c in kafka.get("commonStructs", [])}
        self.compare_fields(message.name, message.root.fields, kafka["fields"], message.versions,
                            commons)

    def compare_fields(self, where, ours, kafkas, outer, commons):
        """Walks both in order; fields that no version has are passed over on both sides."""
        mine = [(f, *our_facts(f, outer)) for f in ours]
        theirs = [(f, *kafka_facts(f, outer)) for f in kafkas]
        mine = [m for m in mine if m[1]]
        theirs = [t for t in theirs if t[1]]
        self.check(where, "fields", [m[1]["name"] for m in mine], [t[1]["name"] for t in theirs])
        for (item, facts, versions), (kafka, kafka_fact, _) in zip(mine, theirs):
            self.field_count += 1
            place = f"{where}.{item.name}"
            for key, value in facts.items():
                self.check(place, key, show(value), show(kafka_fact[key]))
            if item.struct is not None:
                inner = kafka.get("fields") or commons.get(kafka["type"].removeprefix("[]"), [])
                self.compare_fields(place, item.struct.fields, inner, versions, commons)


def show(value):
    if isinstance(value, tuple):
        return f"{value[0]} in {value[1]}"
    return str(value) if isinstance(value, definitions.Range) else value


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--protocol", type=pathlib.Path, default=ROOT / "protocol")
    options.add_argument("--jar", action="append", default=[], help="a jar of Apache Kafka 4.3.1")
    options.add_argument("--reference", type=pathlib.Path, help="a folder of Kafka's JSON files",
                         default=ROOT.parent / "shared" / "reference")
    arguments = options.parse_args()
    reference = arguments.reference if arguments.reference.is_dir() else None
    kafka = load_kafka(arguments.jar, reference)
    comparison, message_count = Comparison(), 0
    for message in (m for p in definitions.parse(arguments.protocol) for m in p.messages):
        if message.kind == "entry":
            continue
        message_count += 1
        if message.name in kafka:
            comparison.compare_message(message, kafka[message.name])
        else:
            comparison.differences.append(f"{message.name}: Kafka has no such message")
    for difference in comparison.differences:
        print(difference)
    print(f"compared {message_count} messages, {comparison.field_count} fields with Kafka's: "
          f"{len(comparison.differences)} differ")
    return 1 if comparison.differences or message_count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
