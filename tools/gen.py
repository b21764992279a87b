#!/usr/bin/env python3
"""Turns the definitions in protocol/ into the C codec.

    gen.py --protocol DIR --out DIR [--list]

Writes one header and one source per definition file, the table of APIs, and the shapes that tests
walk. Only files whose text changes are written. --list prints the paths instead (for CMake).
"""

import argparse
import pathlib
import re
import sys

from definitions import SIZES, SPANS, Bad, Range, parse, snake

C_TYPES = {"bool": "bool", "float64": "double", "uuid": "struct uuid", "string": "struct span",
           "bytes": "struct span", "records": "struct wire_records"}
SIZE_MIN_MAX = 255  # the least size of an element is a byte in the generated tables

# --- what the emitters ask of the model ----------------------------------------------------------


def c_type(item):
    if item.type == "struct":
        return f"struct {item.struct.c_name}"
    return C_TYPES.get(item.type, item.type + "_t")


def is_pointer(item):
    """A nullable struct lies behind a pointer."""
    return item.type == "struct" and not item.array and item.nullable is not None


def guard(versions, outer):
    """The C condition for versions, inside code that runs only for outer; "" when always true."""
    tests = []
    if versions.low > outer.low:
        tests.append(f"version >= {versions.low}")
    if versions.high < outer.high:
        tests.append(f"version <= {versions.high}")
    if len(tests) == 2 and versions.low == versions.high:
        tests = [f"version == {versions.low}"]
    return " && ".join(tests)


def base_form(message, struct):
    """How lengths are written: a constant where it is one, else the local variable form."""
    if message.flexible is None or message.flexible > struct.versions.high:
        return "WIRE_CLASSIC"
    if message.flexible <= struct.versions.low:
        return "WIRE_COMPACT"
    return "form"


def element_form(message, struct, item):
    """As base_form, for one field; tagged ones exist in flexible versions only."""
    if item.rigid:
        return "WIRE_CLASSIC"
    return "WIRE_COMPACT" if item.tag is not None else base_form(message, struct)


def form_of(message, struct, item):
    base = element_form(message, struct, item)
    if item.nullable is None:
        return base
    test = guard(item.nullable, item.versions)
    null = f"({test} ? WIRE_NULLABLE : 0)" if test else "WIRE_NULLABLE"
    return null if base == "WIRE_CLASSIC" else f"{base} | {null}"


def is_flexible(message, version):
    return message.flexible is not None and version >= message.flexible


def element_size_min(message, item, version):
    """The fewest bytes an element of the array can take."""
    if item.type == "struct":
        return struct_size_min(message, item.struct, version)
    if item.type in SIZES:
        return SIZES[item.type]
    return 1 if is_flexible(message, version) else SPANS[item.type]


def struct_size_min(message, struct, version):
    size = 1 if is_flexible(message, version) else 0
    for item in struct.fields:
        if version not in item.versions or item.tag is not None:
            continue
        compact = is_flexible(message, version) and not item.rigid
        if item.array:
            size += 1 if compact else 4
        elif item.type == "struct":
            size += 1 if item.nullable else struct_size_min(message, item.struct, version)
        elif item.type in SPANS:
            size += 1 if compact else SPANS[item.type]
        else:
            size += SIZES[item.type]
    return size


def default_of(item):
    """The C initializer of a field, or None where zero bytes are right."""
    if item.array:
        return None
    if item.type in ("string", "bytes"):
        return None if item.default == "null" else "SPAN_EMPTY"
    if item.type == "struct" or item.type == "records" or item.default in (None, "false"):
        return None
    if item.default == "true":
        return "true"
    value = int(item.default, 0)
    if value == -2 ** 63:
        return "INT64_MIN"
    if value == 2 ** 63 - 1:
        return "INT64_MAX"
    if value == -2 ** 31:
        return "INT32_MIN"
    return str(value) if value else None


def is_set(item, place):
    """The C condition that a field holds something else than its default."""
    if item.array:
        return f"{place}_count != {-1 if item.default == 'null' else 0}"
    if is_pointer(item):
        return f"{place} != NULL"
    if item.type == "struct":
        return f"is_set_{item.struct.c_name}(&{place})"
    if item.type == "records":
        return f"({place}.bytes.data != NULL || {place}.slice != NULL)"
    if item.type in SPANS:
        if item.default == "null":
            return f"{place}.data != NULL"
        if item.nullable:
            return f"({place}.data == NULL || {place}.size != 0)"
        return f"{place}.size != 0"
    if item.type == "uuid":
        return f"!uuid_is_zero({place})"
    if item.type == "bool":
        return f"!{place}" if item.default == "true" else place
    return f"{place} != {default_of(item) or 0}"


def structs_compared(message):
    """Structs of which is_set_ is asked: those that may be left out of a version or are tagged."""
    wanted = set()

    def want(struct):
        wanted.add(struct.c_name)
        for inner in struct.fields:
            if inner.struct and not inner.array and not is_pointer(inner):
                want(inner.struct)

    for struct in message.structs:
        for item in struct.fields:
            if item.type != "struct" or item.array or is_pointer(item):
                continue
            if item.tag is not None or (not item.ignorable and item.versions != struct.versions):
                want(item.struct)
    return [s for s in message.structs if s.c_name in wanted]


# --- writing -------------------------------------------------------------------------------------


def comment(text, indent=""):
    """A C comment of at most 100 columns."""
    words, lines, line = text.split(), [], indent + "/*"
    for word in words:
        if len(line) + 1 + len(word) > 96:
            lines.append(line)
            line = f"{indent} *"
        line += " " + word
    return "\n".join(lines + [line + " */"])


def emit_struct(message, struct):
    out = [comment(struct.doc), f"struct {struct.c_name} {{"]
    for item in struct.fields:
        note = f"[{item.versions}] " if item.versions != message.versions else ""
        out.append(comment(note + item.doc, "    "))
        star = "*" if item.array or is_pointer(item) else ""
        out.append(f"    {c_type(item)} {star}{item.name};")
        if item.array:
            null = "; -1 for null" if item.nullable else ""
            out.append(f"    int32_t {item.name}_count; /* of {item.name}{null} */")
    return "\n".join(out + ["};"])


def emit_header(parser):
    """The header of one definition file."""
    messages = parser.messages
    stem = "HEADRACE_WIRE_" + re.sub(r"\W", "_", parser.path).upper() + "_H"
    out = [f"/* {parser.path}: written by tools/gen.py from protocol/{parser.path}.msg. */",
           f"#ifndef {stem}", f"#define {stem}", "", "#include <stdbool.h>", "#include <stdint.h>",
           "", '#include "base/arena.h"', '#include "wire/cursor.h"', "",
           comment("src/wire/README.md says what _init, _decode and _encode promise. [2-4] in "
                   "front of a field: the versions that have it."), ""]
    for message in messages:
        upper = message.c_name().upper()
        out += [f"#define {upper}_VERSION_MIN {message.versions.low}",
                f"#define {upper}_VERSION_MAX {message.versions.high}"]
        if message.kind in ("key", "entry"):
            out.append(f"#define {upper}_TYPE {message.number}")
        out.append("")
        for struct in message.structs:
            out += [emit_struct(message, struct), ""]
        out += ["/* Sets every field to its default. */"]
        out += [f"void {s.c_name}_init(struct {s.c_name} *out);" for s in reversed(message.structs)]
        out += ["", prototype("decode", message) + ";", prototype("encode", message) + ";", ""]
        out += emit_prefix_prototypes(message)
    return "\n".join(out + ["#endif", ""])


def prototype(verb, message):
    name = message.c_name()
    if verb == "decode":
        return (f"MUST_USE struct err {name}_decode(struct reader *reader, int16_t version,\n"
                f"    struct arena *arena, struct {name} *out)")
    return (f"MUST_USE struct err {name}_encode(struct writer *writer, int16_t version,\n"
            f"    const struct {name} *in)")


def emit_prefix_prototypes(message):
    name = message.c_name()
    if message.kind == "key":
        return [comment("Writes the type and the key. To read, read the type first."),
                f"MUST_USE struct err {name}_pack(struct writer *writer, const struct {name} *in);",
                ""]
    if message.kind in ("value", "embedded", "entry"):
        first = "type, version" if message.kind == "entry" else "version"
        newer = "a newer one is read as the newest known" if message.kind == "embedded" else \
            "ERR_UNSUPPORTED for an unknown one"
        return [comment(f"Writes {first} and the fields; reads version and fields, {newer}."),
                f"MUST_USE struct err {name}_pack(struct writer *writer, int16_t version,\n"
                f"    const struct {name} *in);",
                f"MUST_USE struct err {name}_unpack(struct reader *reader, struct arena *arena,\n"
                f"    struct {name} *out);", ""]
    return []


def emit_source(parser):
    out = [f"/* {parser.path}: written by tools/gen.py from protocol/{parser.path}.msg. */",
           f'#include "wire/{parser.path}.h"', ""]
    for message in parser.messages:
        for struct in message.structs:
            out.append(emit_init(struct))
        for struct in structs_compared(message):
            out.append(emit_is_set(struct))
        for struct in message.structs:
            out.append(emit_decode(message, struct))
        for struct in message.structs:
            out.append(emit_encode(message, struct))
        out.append(emit_entry_points(message))
        out.append(emit_prefix(message))
    return "\n".join(out)


def emit_init(struct):
    lines = [f"void {struct.c_name}_init(struct {struct.c_name} *out)", "{",
             f"    *out = (struct {struct.c_name}){{"]
    for item in struct.fields:
        value = "-1" if item.array and item.default == "null" else default_of(item)
        if value is not None:
            lines.append(f"        .{item.name}{'_count' if item.array else ''} = {value},")
    if lines[-1].endswith("{"):
        lines[-1] += "0};"
    else:
        lines.append("    };")
    for item in struct.fields:
        if item.type == "struct" and not item.array and not is_pointer(item):
            lines.append(f"    {item.struct.c_name}_init(&out->{item.name});")
    return "\n".join(lines + ["}", ""])


def emit_is_set(struct):
    tests = [is_set(item, f"in->{item.name}") for item in struct.fields]
    return "\n".join([f"static bool is_set_{struct.c_name}(const struct {struct.c_name} *in)", "{",
                      "    return " + " ||\n           ".join(tests) + ";", "}", ""])


def function(signature, body):
    """A static function; parameters that the body leaves alone are marked so."""
    text = "\n".join(body)
    unused = [f"    (void){name};" for name in ("version", "arena")
              if re.search(rf"\b{name}\b", signature) and not re.search(rf"\b{name}\b", text)]
    return "\n".join([signature, "{"] + unused + body + ["    return ERR_NONE;", "}", ""])


def form_line(message, struct, body):
    """The declaration of the local form, where the body uses it."""
    if not re.search(r"\bform\b", "\n".join(body)):
        return []
    return [f"    unsigned form = version >= {message.flexible} ? WIRE_COMPACT : WIRE_CLASSIC;"]


def guarded(test, statement, otherwise=None):
    """A statement under a version test, and perhaps what to do in other versions."""
    if not test:
        return ["    " + line for line in statement]
    deep = len(statement) > 1
    out = [f"    if ({test}) {{" if deep or otherwise else f"    if ({test})"]
    out += ["        " + line for line in statement]
    if otherwise:
        out += [f"    }} else if ({otherwise}) {{", "        return err_make(ERR_UNSUPPORTED);",
                "    }"]
    elif deep:
        out.append("    }")
    return out


def size_min_text(message, struct, item):
    """The least size of an element as C: a number, or a choice where forms differ by version."""
    versions = range(item.versions.low, item.versions.high + 1)
    sizes = [element_size_min(message, item, v) for v in versions]
    if not 0 < min(sizes) <= max(sizes) <= SIZE_MIN_MAX:
        raise Bad(f"{message.name}: elements of '{item.name}' take {min(sizes)} bytes or more")
    if len(set(sizes)) == 1:
        return str(sizes[0]), None
    table = f"size_min[version - {item.versions.low}]"
    return table, f"    static const uint8_t size_min[] = {{{', '.join(map(str, sizes))}}};"


def array_name(struct, item):
    return f"{struct.c_name}_{item.name}"


def static_function(verb, name, struct, body):
    """A static decoder into, or encoder of, the struct."""
    if verb == "decode":
        parameters = f"struct reader *reader, int16_t version,\n    struct arena *arena, struct " \
            f"{struct.c_name} *out"
    else:
        parameters = f"struct writer *writer, int16_t version,\n    const struct " \
            f"{struct.c_name} *in"
    return function(f"static struct err {verb}_{name}({parameters})", body)


def emit_decode_array(message, struct, item):
    size, table = size_min_text(message, struct, item)
    body = [table] if table else []
    form = form_of(message, struct, item)
    body += ["    int32_t count;",
             f"    TRY(reader_read_count(reader, {form}, {size}, &count));",
             f"    out->{item.name}_count = count;",
             "    if (count <= 0)", "        return ERR_NONE;",
             f"    {c_type(item)} *items = arena_alloc_array(arena, (size_t)count, sizeof *items);",
             "    if (items == NULL)", "        return err_make(ERR_NO_MEMORY);",
             "    for (int32_t i = 0; i < count; i++)"]
    if item.type == "struct":
        body.append(f"        TRY(decode_{item.struct.c_name}(reader, version, arena, &items[i]));")
    elif item.type in SPANS:
        element = element_form(message, struct, item)
        body.append(f"        TRY(reader_read_{item.type}(reader, {element}, &items[i]));")
    else:
        body.append(f"        TRY(reader_read_{item.type}(reader, &items[i]));")
    body.append(f"    out->{item.name} = items;")
    body = form_line(message, struct, body) + body
    return static_function("decode", array_name(struct, item), struct, body)


def decode_statement(message, struct, item, reader):
    if item.array:
        return [f"TRY(decode_{array_name(struct, item)}({reader}, version, arena, out));"]
    if is_pointer(item):
        return decode_pointer(item, reader)
    if item.type == "struct":
        return [f"TRY(decode_{item.struct.c_name}({reader}, version, arena, &out->{item.name}));"]
    form = f"{form_of(message, struct, item)}, " if item.type in SPANS else ""
    return [f"TRY(reader_read_{item.type}({reader}, {form}&out->{item.name}));"]


def decode_pointer(item, reader):
    """A nullable struct: null is refused in versions where it is none."""
    name = item.struct.c_name
    refuse = guard(item.nullable, item.versions)
    out = [f"bool has_{item.name};", f"TRY(reader_read_presence({reader}, &has_{item.name}));"]
    if refuse:
        out += [f"if (!has_{item.name} && !({refuse}))", "    return err_make(ERR_CORRUPT);"]
    return out + [f"if (has_{item.name}) {{",
                  f"    out->{item.name} = arena_alloc(arena, sizeof *out->{item.name});",
                  f"    if (out->{item.name} == NULL)", "        return err_make(ERR_NO_MEMORY);",
                  f"    TRY(decode_{name}({reader}, version, arena, out->{item.name}));", "}"]


def emit_decode_tags(message, struct):
    """The function that reads one tagged field; unknown ones are stepped over by the caller."""
    body = ["    switch (tag) {"]
    for item in struct.tagged():
        test = guard(item.versions, Range(max(message.flexible, struct.versions.low),
                                          struct.versions.high))
        body.append(f"    case {item.tag}:")
        if test:
            body += [f"        if (!({test}))", "            return ERR_NONE;"]
        body += ["        " + s for s in decode_statement(message, struct, item, "field")]
        body.append("        return reader_finish(field);")
    body += ["    default:", "        break;", "    }"]
    return function(f"static struct err decode_{struct.c_name}_tag(struct reader *field, "
                    f"uint32_t tag, int16_t version,\n    struct arena *arena, "
                    f"struct {struct.c_name} *out)", body)


def decode_tag_section(message, struct):
    if base_form(message, struct) == "WIRE_CLASSIC":
        return []
    if not struct.tagged():
        section = ["TRY(reader_skip_tags(reader));"]
    else:
        section = ["uint32_t tag_count;", "TRY(reader_read_tag_count(reader, &tag_count));",
                   "for (uint32_t i = 0; i < tag_count; i++) {", "    uint32_t tag;",
                   "    struct reader field;", "    TRY(reader_read_tag(reader, &tag, &field));",
                   f"    TRY(decode_{struct.c_name}_tag(&field, tag, version, arena, out));", "}"]
    test = f"version >= {message.flexible}" if base_form(message, struct) == "form" else ""
    return guarded(test, section)


def emit_decode(message, struct):
    parts = [emit_decode_array(message, struct, i) for i in struct.fields if i.array]
    if struct.tagged():
        parts.append(emit_decode_tags(message, struct))
    body = [f"    {struct.c_name}_init(out);"]
    for item in struct.fields:
        if item.tag is None:
            body += guarded(guard(item.versions, struct.versions),
                            decode_statement(message, struct, item, "reader"))
    body += decode_tag_section(message, struct)
    body = form_line(message, struct, body) + body
    parts.append(static_function("decode", struct.c_name, struct, body))
    return "\n".join(parts)


def emit_encode_array(message, struct, item):
    place = f"in->{item.name}"
    form = form_of(message, struct, item)
    body = [f"    TRY(writer_write_count(writer, {form}, {place}_count));",
            f"    for (int32_t i = 0; i < {place}_count; i++)"]
    if item.type == "struct":
        body.append(f"        TRY(encode_{item.struct.c_name}(writer, version, &{place}[i]));")
    elif item.type in SPANS:
        element = element_form(message, struct, item)
        body.append(f"        TRY(writer_write_{item.type}(writer, {element}, {place}[i]));")
    else:
        body.append(f"        TRY(writer_write_{item.type}(writer, {place}[i]));")
    body = form_line(message, struct, body) + body
    return static_function("encode", array_name(struct, item), struct, body)


def encode_statement(message, struct, item):
    place = f"in->{item.name}"
    if item.array:
        return [f"TRY(encode_{array_name(struct, item)}(writer, version, in));"]
    if is_pointer(item):
        refuse = guard(item.nullable, item.versions)
        out = [f"if ({place} == NULL && !({refuse}))", "    return err_make(ERR_INVALID);"]
        return (out if refuse else []) + [
            f"TRY(writer_write_presence(writer, {place} != NULL));", f"if ({place} != NULL)",
            f"    TRY(encode_{item.struct.c_name}(writer, version, {place}));"]
    if item.type == "struct":
        return [f"TRY(encode_{item.struct.c_name}(writer, version, &{place}));"]
    form = f"{form_of(message, struct, item)}, " if item.type in SPANS else ""
    address = "&" if item.type == "records" else ""
    return [f"TRY(writer_write_{item.type}(writer, {form}{address}{place}));"]


def encode_tag_section(message, struct):
    """The tagged fields that differ from their defaults, counted first."""
    if base_form(message, struct) == "WIRE_CLASSIC":
        return []
    outer = Range(max(message.flexible, struct.versions.low), struct.versions.high)
    count, fields = ["uint32_t tag_count = 0;"], []
    for item in struct.tagged():
        test = guard(item.versions, outer)
        test = (test + " && " if test else "") + is_set(item, f"in->{item.name}")
        count += [f"if ({test})", "    tag_count++;"]
        fields += [f"if ({test}) {{", f"    TRY(writer_tag_begin(writer, {item.tag}, &mark));"]
        fields += ["    " + line for line in encode_statement(message, struct, item)]
        fields += ["    TRY(writer_tag_end(writer, mark));", "}"]
    section = ["TRY(writer_write_uvarint(writer, 0));"]
    if fields:
        section = count + ["TRY(writer_write_uvarint(writer, tag_count));", "size_t mark;"] + fields
    test = f"version >= {message.flexible}" if base_form(message, struct) == "form" else ""
    return guarded(test, section)


def refuse_missing(struct, item):
    """The condition under which a version without this field cannot carry the message, or None."""
    if item.ignorable or not guard(item.versions, struct.versions):
        return None
    return is_set(item, f"in->{item.name}")


def emit_encode(message, struct):
    parts = [emit_encode_array(message, struct, i) for i in struct.fields if i.array]
    body = []
    for item in struct.fields:
        test = guard(item.versions, struct.versions)
        refuse = refuse_missing(struct, item)
        if item.tag is None:
            body += guarded(test, encode_statement(message, struct, item), refuse)
        elif refuse:
            body += [f"    if (!({test}) && {refuse})", "        return err_make(ERR_UNSUPPORTED);"]
    body += encode_tag_section(message, struct)
    body = form_line(message, struct, body) + body
    parts.append(static_function("encode", struct.c_name, struct, body))
    return "\n".join(parts)


def emit_entry_points(message):
    name, versions = message.c_name(), message.versions
    check = [f"    if (version < {versions.low} || version > {versions.high})",
             "        return err_make(ERR_UNSUPPORTED);"]
    strip = "MUST_USE "
    return "\n".join(
        [prototype("decode", message).removeprefix(strip), "{"] + check
        + [f"    return decode_{name}(reader, version, arena, out);", "}", ""]
        + [prototype("encode", message).removeprefix(strip), "{"] + check
        + [f"    return encode_{name}(writer, version, in);", "}", ""])


def emit_prefix(message):
    """Pack and unpack: the fields behind their type or version."""
    name = message.c_name()
    if message.kind == "key":
        return (f"struct err {name}_pack(struct writer *writer, const struct {name} *in)\n{{\n"
                f"    TRY(writer_write_int16(writer, {name.upper()}_TYPE));\n"
                f"    return {name}_encode(writer, {message.versions.high}, in);\n}}\n")
    if message.kind not in ("value", "embedded", "entry"):
        return ""
    type_line = ""
    if message.kind == "entry":
        type_line = f"    TRY(writer_write_int16(writer, {name.upper()}_TYPE));\n"
    newer = ""
    if message.kind == "embedded":
        newer = (f"    if (version > {message.versions.high})\n"
                 f"        version = {message.versions.high};\n")
    return (f"struct err {name}_pack(struct writer *writer, int16_t version,\n"
            f"    const struct {name} *in)\n{{\n{type_line}"
            f"    TRY(writer_write_int16(writer, version));\n"
            f"    return {name}_encode(writer, version, in);\n}}\n\n"
            f"struct err {name}_unpack(struct reader *reader, struct arena *arena,\n"
            f"    struct {name} *out)\n{{\n    int16_t version;\n"
            f"    TRY(reader_read_int16(reader, &version));\n{newer}"
            f"    return {name}_decode(reader, version, arena, out);\n}}\n")


# --- tables --------------------------------------------------------------------------------------


def emit_api_header(apis):
    keys = "\n".join(f"    API_{snake(a.name).upper()} = {a.number}," for a in apis)
    return f"""/* api_table: the APIs of protocol/, written by tools/gen.py. */
#ifndef HEADRACE_WIRE_API_TABLE_H
#define HEADRACE_WIRE_API_TABLE_H

#include <stdbool.h>
#include <stdint.h>

/* The APIs by Kafka's numbers. */
enum api_key {{
{keys}
}};

#define API_COUNT {len(apis)}
#define API_KEY_MAX {max(a.number for a in apis)}
#define API_FLEXIBLE_NEVER INT16_MAX

struct api_info {{
    int16_t key;
    int16_t version_min;
    int16_t version_max;
    int16_t flexible_min; /* the first flexible version, or API_FLEXIBLE_NEVER */
    bool unstable;        /* version_max may still change: see api_version_max_stable */
    const char *name;     /* Kafka's name, as metrics and messages show it */
}};

/* All APIs by rising key. */
extern const struct api_info api_table[API_COUNT];

#endif
"""


def emit_api_source(apis):
    rows = "\n".join(
        f"    {{API_{snake(a.name).upper()}, {a.versions.low}, {a.versions.high}, "
        f"{'API_FLEXIBLE_NEVER' if a.flexible is None else a.flexible}, "
        f"{str(a.unstable).lower()}, \"{a.name}\"}}," for a in apis)
    return ("/* api_table: the APIs of protocol/, written by tools/gen.py. */\n"
            '#include "wire/api_table.h"\n\n'
            f"const struct api_info api_table[API_COUNT] = {{\n{rows}\n}};\n")


def emit_shape_fields(message, struct):
    rows = []
    for item in struct.fields:
        null = item.nullable or Range(1, 0)
        count = f"offsetof(struct {struct.c_name}, {item.name}_count)" if item.array else "0"
        inner = f"&shape_{item.struct.c_name}" if item.struct else "NULL"
        rows.append(f'    {{"{item.name}", SHAPE_{item.type.upper()}, {str(item.array).lower()}, '
                    f"{str(is_pointer(item)).lower()}, {item.versions.low}, {item.versions.high}, "
                    f"{null.low}, {null.high}, offsetof(struct {struct.c_name}, {item.name}), "
                    f"{count}, {inner}}},")
    return rows


def emit_shape(message, struct):
    name = struct.c_name
    return "\n".join(
        [f"static const struct shape_field fields_{name}[] = {{"]
        + emit_shape_fields(message, struct)
        + ["};", f"static void init_{name}(void *out)", "{", f"    {name}_init(out);", "}",
           f"static const struct shape shape_{name} = {{", f"    sizeof(struct {name}),",
           f"    fields_{name},", f"    {len(struct.fields)},", f"    init_{name},", "};", ""])


def emit_shapes(parsers):
    """What tests know of every message: enough to fill it, compare it and call its codec."""
    out = ["/* shapes of all messages, for tests; written by tools/gen.py. */",
           '#include "support/wire_shape.h"', ""]
    out += [f'#include "wire/{p.path}.h"' for p in parsers] + [""]
    rows = []
    for message in (m for p in parsers for m in p.messages):
        name = message.c_name()
        for struct in message.structs:
            out.append(emit_shape(message, struct))
        out.append(f"""static struct err decode_{name}(struct reader *reader, int16_t version,
    struct arena *arena, void *out)
{{
    return {name}_decode(reader, version, arena, out);
}}

static struct err encode_{name}(struct writer *writer, int16_t version, const void *in)
{{
    return {name}_encode(writer, version, in);
}}
""")
        kind = {"request": "REQUEST", "entry": "OURS"}.get(message.kind, "OTHER")
        rows.append(f'    {{"{message.name}", SHAPE_KIND_{kind}, {message.number or 0}, '
                    f"{message.versions.low}, {message.versions.high}, &shape_{name}, "
                    f"decode_{name}, encode_{name}}},")
    out += [f"const size_t shape_message_count = {len(rows)};",
            f"const struct shape_message shape_messages[{len(rows)}] = {{"] + rows + ["};", ""]
    return "\n".join(out)


# --- the program ---------------------------------------------------------------------------------


def outputs(parsers):
    """Path below the output folder -> the function that writes its text."""
    apis = sorted((p.api for p in parsers if p.api), key=lambda a: a.number)
    files = {}
    for parser in parsers:
        files[f"wire/{parser.path}.h"] = lambda p=parser: emit_header(p)
        files[f"wire/{parser.path}.c"] = lambda p=parser: emit_source(p)
    files["wire/api_table.h"] = lambda: emit_api_header(apis)
    files["wire/api_table.c"] = lambda: emit_api_source(apis)
    files["test/wire_shapes.c"] = lambda: emit_shapes(parsers)
    return files


def write_changed(path, text):
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def main():
    options = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    options.add_argument("--protocol", required=True, help="the folder of the definitions")
    options.add_argument("--out", required=True, help="the folder to write below")
    options.add_argument("--list", action="store_true", help="print the paths, write nothing")
    arguments = options.parse_args()
    try:
        files = outputs(parse(arguments.protocol))
    except (Bad, OSError) as error:
        print(f"gen.py: {error}", file=sys.stderr)
        return 1
    for name, emit in files.items():
        path = pathlib.Path(arguments.out) / name
        if arguments.list:
            print(path)
        else:
            write_changed(path, emit())
    return 0


if __name__ == "__main__":
    sys.exit(main())
