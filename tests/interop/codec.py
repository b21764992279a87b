"""Requests and answers as dictionaries, for every API and version that protocol/ defines.

Fields that a dictionary leaves out have their defaults. The reader keeps every field of the
version, so two brokers' answers can be compared whole.
"""

import struct
import sys

import toolchains

sys.path.insert(0, str(toolchains.ROOT / "tools"))
import definitions  # pylint: disable=wrong-import-position

FORMATS = {"bool": "?", "int8": "b", "int16": "h", "uint16": "H", "int32": "i", "uint32": "I",
           "int64": "q", "float64": "d"}
NO_TAGS = b"\x00"
CLIENT = b"\x00\x06differ"


def uvarint(number):
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def default_of(field):
    if field.array:
        return None if field.default == "null" else []
    if field.default == "null":
        return None
    if field.type == "struct":
        return {}
    if field.type == "uuid":
        return bytes(16)
    if field.type in definitions.SPANS:
        return "" if field.type == "string" else b""
    return field.default == "true" if field.type == "bool" else int(field.default or "0", 0)


class Writer:
    """Encodes one message in one version."""

    def __init__(self, version, flexible):
        self.version, self.flexible = version, flexible

    def length(self, size, form):
        """A length, or that of null where size is None."""
        if self.flexible:
            return uvarint(0 if size is None else size + 1)
        return struct.pack(">" + form, -1 if size is None else size)

    def fields(self, shape, values):
        unknown = set(values) - {f.name for f in shape.fields if self.version in f.versions}
        if unknown:
            raise ValueError(f"{shape.c_name} {self.version} has no {sorted(unknown)}")
        out = b"".join(self.field(f, values.get(f.name, default_of(f))) for f in shape.fields
                       if self.version in f.versions and f.tag is None)
        return out + NO_TAGS if self.flexible else out

    def field(self, field, value):
        if not field.array:
            return self.one(field, value)
        if value is None:
            return self.length(None, "i")
        return self.length(len(value), "i") + b"".join(self.one(field, v) for v in value)

    def one(self, field, value):
        if field.type == "struct":
            return self.fields(field.struct, value)
        if field.type == "uuid":
            return value
        if field.type in FORMATS:
            return struct.pack(">" + FORMATS[field.type], value)
        data = value.encode() if isinstance(value, str) else value
        form = "h" if field.type == "string" else "i"
        return self.length(None if data is None else len(data), form) + (data or b"")


class Reader:
    """Decodes one message in one version."""

    def __init__(self, data, version, flexible):
        self.data, self.at, self.version, self.flexible = data, 0, version, flexible

    def number(self, form):
        (value,) = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(">" + form)
        return value

    def uvarint(self):
        value, shift = 0, 0
        while True:
            byte = self.number("B")
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def length(self, form):
        return self.uvarint() - 1 if self.flexible else self.number(form)

    def take(self, size):
        self.at += size
        return self.data[self.at - size:self.at]

    def fields(self, shape):
        found = {f.name: self.field(f) for f in shape.fields
                 if self.version in f.versions and f.tag is None}
        for _ in range(self.uvarint() if self.flexible else 0):
            tag, size = self.uvarint(), self.uvarint()
            end = self.at + size
            for field in (f for f in shape.tagged() if f.tag == tag):
                found[field.name] = self.field(field)
            self.at = end
        return found

    def field(self, field):
        if not field.array:
            return self.one(field)
        size = self.length("i")
        return None if size < 0 else [self.one(field) for _ in range(size)]

    def one(self, field):
        if field.type == "struct":
            return self.fields(field.struct)
        if field.type == "uuid":
            return self.take(16)
        if field.type in FORMATS:
            return self.number(FORMATS[field.type])
        size = self.length("h" if field.type == "string" else "i")
        data = None if size < 0 else self.take(size)
        return data.decode() if field.type == "string" and data is not None else data


def load():
    """{(API's name, "request" or "response"): message}"""
    parsers = definitions.parse(toolchains.ROOT / "protocol")
    return {(p.api.name, m.kind): m for p in parsers if p.api for m in p.messages}


MESSAGES = load()


def request(api, version, values, correlation):
    """A whole request but for the size before it."""
    message = MESSAGES[(api, "request")]
    flexible = message.flexible is not None and version >= message.flexible
    head = struct.pack(">hhi", message.number, version, correlation) + CLIENT
    head += NO_TAGS if flexible else b""
    return head + Writer(version, flexible).fields(message.root, values)


def response(api, version, data):
    """The fields of an answer, which must end where its message does."""
    message = MESSAGES[(api, "response")]
    flexible = message.flexible is not None and version >= message.flexible
    reader = Reader(data, version, flexible)
    reader.number("i")
    if flexible and api != "ApiVersions":
        reader.take(1)
    found = reader.fields(message.root)
    if reader.at != len(data):
        raise ValueError(f"{len(data) - reader.at} bytes follow the answer")
    return found
