"""Reads the definitions in protocol/: what gen.py turns into C and the comparison looks at.

protocol/README.md describes the language; Parser is its only reader. A file that means nothing is
Bad, with file and line.
"""

import pathlib
import re
from dataclasses import dataclass, field

SIZES = {"bool": 1, "int8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "int64": 8,
         "float64": 8, "uuid": 16}
SPANS = {"string": 2, "bytes": 4, "records": 4}  # and how long the classic length is
C_WORDS = set("auto break case char const continue default do double else enum extern float for "
              "goto if inline int long register restrict return short signed sizeof static struct "
              "switch typedef union unsigned void volatile while".split())
KINDS = {"request", "response", "header", "key", "value", "embedded", "entry"}
TAG_MAX = 9999
NEWEST = 32767


class Bad(Exception):
    """A definition that means nothing: the sentence names file and line."""


@dataclass(frozen=True)
class Range:
    """Versions, both ends included."""

    low: int
    high: int

    def __contains__(self, version):
        return self.low <= version <= self.high

    def within(self, other):
        return other.low <= self.low <= self.high <= other.high

    def __str__(self):
        return str(self.low) if self.low == self.high else f"{self.low}-{self.high}"


@dataclass
class Field:
    name: str
    type: str  # a name in SIZES or SPANS, or "struct"
    array: bool
    versions: Range
    doc: str
    nullable: Range = None
    default: str = None
    tag: int = None
    ignorable: bool = False
    rigid: bool = False  # never in compact form
    struct: "Struct" = None


@dataclass
class Struct:
    name: str
    c_name: str
    versions: Range
    doc: str
    fields: list = field(default_factory=list)

    def tagged(self):
        return sorted((f for f in self.fields if f.tag is not None), key=lambda f: f.tag)


@dataclass
class Message:
    kind: str
    name: str
    number: int
    versions: Range
    flexible: int  # the first flexible version, or None
    unstable: bool
    doc: str
    path: str  # of the definition, without its ending
    root: Struct = None
    structs: list = field(default_factory=list)  # inner before outer, the root last

    def c_name(self):
        return snake(self.name)


@dataclass
class Api:
    name: str
    number: int
    versions: Range
    flexible: int
    unstable: bool
    doc: str


def snake(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def parse_range(text, outer):
    """Reads "3", "3-5" or "3+"; the last ends where outer does."""
    match = re.fullmatch(r"(\d+)(\+|-(\d+))?", text)
    if not match:
        raise Bad(f"'{text}' is no range of versions")
    low = int(match[1])
    high = outer.high if match[2] == "+" else int(match[3] or low)
    result = Range(low, high)
    if not result.within(outer):
        raise Bad(f"versions {text} are not within {outer}")
    return result


RANGE = re.compile(r"\d+(\+|-\d+)?")


class Parser:
    """Reads one file, line by line. Indentation of four spaces nests fields in the one above."""

    def __init__(self, path, text):
        self.path = path
        self.lines = text.split("\n")
        self.at = 0
        self.doc = []
        self.api = None
        self.messages = []

    def parse(self):
        try:
            while (line := self.next_line()) is not None:
                if line.startswith(" "):
                    raise Bad("a field without a message")
                self.parse_block(line)
        except Bad as bad:
            raise Bad(f"{self.path}.msg:{self.at}: {bad}") from None
        return self

    def next_line(self):
        """The next line that is neither empty nor doc; doc is kept for it."""
        while self.at < len(self.lines):
            line = self.lines[self.at].rstrip()
            self.at += 1
            if line.lstrip().startswith("#"):
                self.doc.append(line.strip().lstrip("# "))
            elif line:
                return line
        return None

    def take_doc(self):
        doc, self.doc = " ".join(self.doc), []
        return doc

    def parse_block(self, line):
        words = line.split()
        kind = words.pop(0)
        if kind == "api":
            self.api = Api(*self.parse_head(words, numbered=True), self.take_doc())
            return
        if kind not in KINDS:
            raise Bad(f"'{kind}' starts nothing")
        if kind in ("request", "response"):
            if self.api is None or words:
                raise Bad(f"'{kind}' stands alone below an api")
            api = self.api
            head = (api.name + kind.capitalize(), api.number, api.versions, api.flexible,
                    api.unstable)
        else:
            head = self.parse_head(words, numbered=kind in ("key", "value", "entry"))
        doc = self.take_doc() or (self.api.doc if self.api else "")
        message = Message(kind, *head, doc, self.path)
        message.root = Struct("", message.c_name(), message.versions, doc)
        self.parse_fields(message, message.root, 1)
        message.structs.append(message.root)
        self.messages.append(message)

    def parse_head(self, words, numbered):
        """Name, number where there is one, "versions" RANGE, "flexible" RANGE, "unstable"."""
        if not words:
            raise Bad("a name is missing")
        name = words.pop(0)
        number = int(words.pop(0)) if numbered and words and words[0].isdigit() else None
        versions, flexible, unstable = None, None, False
        while words:
            word = words.pop(0)
            if word == "versions" and words:
                versions = parse_range(words.pop(0), Range(0, NEWEST))
            elif word == "flexible" and words and versions:
                flexible = parse_range(words.pop(0), versions).low
            elif word == "unstable":
                unstable = True
            else:
                raise Bad(f"'{word}' is not understood here")
        if versions is None:
            raise Bad("versions are missing")
        return name, number, versions, flexible, unstable

    def parse_fields(self, message, struct, depth):
        indent = "    " * depth
        while (line := self.next_line()) is not None:
            if not line.startswith(indent):
                self.at -= 1
                self.doc = []
                self.rewind_doc()
                return
            if line[len(indent)] == " ":
                raise Bad("nested too deep")
            self.parse_field(message, struct, line.strip(), depth)

    def rewind_doc(self):
        """Steps back over the doc lines of a line that belongs further out."""
        while self.at > 0 and self.lines[self.at - 1].lstrip().startswith("#"):
            self.at -= 1

    def parse_field(self, message, struct, text, depth):
        match = re.fullmatch(r"([a-z][a-z0-9_]*): (\[?)([a-z][a-z0-9_]*)(\]?)((?: .*)?)", text)
        if not match or bool(match[2]) != bool(match[4]):
            raise Bad(f"'{text}' is no field")
        name, base = match[1], match[3]
        if name in C_WORDS or any(f.name == name for f in struct.fields):
            raise Bad(f"the name '{name}' is taken")
        known = base in SIZES or base in SPANS
        result = Field(name, base if known else "struct", bool(match[2]), struct.versions,
                       self.take_doc())
        if not result.doc:
            raise Bad(f"'{name}' needs a line of doc")
        self.parse_attributes(result, match[5].split())
        struct.fields.append(result)
        if not known:
            result.struct = self.parse_struct(message, result, base, depth)
        check_field(message, result)

    def parse_attributes(self, result, words):
        if words and RANGE.fullmatch(words[0]):
            result.versions = parse_range(words.pop(0), result.versions)
        while words:
            word = words.pop(0)
            if word == "nullable":
                result.nullable = result.versions
                if words and RANGE.fullmatch(words[0]):
                    result.nullable = parse_range(words.pop(0), result.versions)
            elif word == "=" and words:
                result.default = words.pop(0)
            elif word == "tag" and words and words[0].isdigit():
                result.tag = int(words.pop(0))
            elif word == "ignorable":
                result.ignorable = True
            elif word == "rigid":
                result.rigid = True
            else:
                raise Bad(f"'{word}' is not understood here")

    def parse_struct(self, message, user, name, depth):
        """The struct that the lines below define, or an earlier one of that name."""
        found = next((s for s in message.structs if s.name == name), None)
        struct = Struct(name, f"{message.c_name()}_{name}", user.versions, user.doc)
        if found is not None:
            widen(found, user.versions)
        self.parse_fields(message, struct, depth + 1)
        if found is not None and struct.fields:
            raise Bad(f"the struct '{name}' is defined twice")
        if found is None and not struct.fields:
            raise Bad(f"'{name}' is neither a type nor followed by fields")
        if found is None:
            message.structs.append(struct)
        return found or struct


def widen(struct, versions):
    """A struct used again: fields that were in all its versions are in the new ones too."""
    old = struct.versions
    struct.versions = Range(min(old.low, versions.low), max(old.high, versions.high))
    for item in struct.fields:
        if item.versions != old:
            continue
        item.versions = struct.versions
        if item.nullable == old:
            item.nullable = struct.versions
        if item.struct is not None:
            widen(item.struct, struct.versions)


def check_field(message, checked):
    """What the parser took but the emitter or Kafka's format cannot express."""
    is_span = checked.type in SPANS
    if checked.nullable and not (checked.array or is_span or checked.type == "struct"):
        raise Bad(f"'{checked.name}' is of a type without null")
    if checked.default == "null" and checked.nullable != checked.versions:
        raise Bad(f"'{checked.name}' has the default null but is not always nullable")
    if checked.nullable and checked.type == "struct" and not checked.array:
        if checked.default != "null" or checked.tag is not None:
            raise Bad(f"the nullable struct '{checked.name}' has no default null, or a tag")
    if checked.array and checked.type in ("records", "bool"):
        raise Bad(f"'{checked.name}': no arrays of {checked.type}")
    if checked.tag is not None:
        if not 0 <= checked.tag <= TAG_MAX or checked.type == "records":
            raise Bad(f"'{checked.name}' cannot be tagged so")
        if message.flexible is None or checked.versions.low < message.flexible:
            raise Bad(f"'{checked.name}' is tagged in versions that are not flexible")
        if checked.versions.high != message.versions.high:
            raise Bad(f"'{checked.name}' is tagged but ends before the newest version")
    if checked.default not in (None, "null", "true", "false"):
        if checked.array or checked.type not in SIZES:
            raise Bad(f"'{checked.name}' cannot have this default")
        int(checked.default, 0)


def parse(folder):
    """Reads every definition under folder, in order of path."""
    parsers = []
    for path in sorted(pathlib.Path(folder).rglob("*.msg")):
        stem = path.relative_to(folder).with_suffix("").as_posix()
        parsers.append(Parser(stem, path.read_text(encoding="utf-8")).parse())
    if not parsers:
        raise Bad(f"no definitions in {folder}")
    return parsers
