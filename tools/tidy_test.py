#!/usr/bin/env python3
"""Tests of tidy.py: a small tree that is clean, and each violation planted into it."""

import contextlib
import io
import pathlib
import sys
import tempfile
import unittest

import tidy

HEADER = "/* {0}: a thing. */\n#ifndef {1}\n#define {1}\n\nint {0}(void);\n\n#endif\n"
UNFINISHED = "TO" + "DO"


class Tidy(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.write("tools/layers.txt", "base -> os -> {wire, record} -> client\nclient -> cli\n")
        self.write("tools/tidy_allow.txt", "# none\n")
        self.write("tools/tidy_baseline.txt", "# none\n")
        for module in ("base", "os", "wire", "record", "client", "cli"):
            self.write(f"src/{module}/README.md", f"# {module}\n")
            guard = f"HEADRACE_{module.upper()}_{module.upper()}_H"
            self.write(f"src/{module}/{module}.h", HEADER.format(module, guard))

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run_tidy(self, *words):
        output = io.StringIO()
        before, sys.argv = sys.argv, ["tidy.py", "--root", str(self.root), *words]
        try:
            with contextlib.redirect_stdout(output):
                code = tidy.main()
        finally:
            sys.argv = before
        lines = output.getvalue().splitlines()
        self.assertEqual(code, 1 if lines else 0)
        return lines

    def expect(self, *rules):
        """The tree has exactly these violations, given as "file: rule"."""
        found = []
        for line in self.run_tidy():
            file, _, rule = line.split(":")[:3]
            found.append(f"{file}:{rule}")
        self.assertEqual(sorted(found), sorted(rules))

    def source(self, body, name="src/wire/a.c"):
        self.write(name, "/* a: a thing. */\n" + body)

    def test_clean_tree_passes(self):
        self.source('#include "base/base.h"\n#include "wire/wire.h"\n\nint a(void)\n{\n}\n')
        self.expect()

    def test_include_upward_is_found(self):
        self.source('#include "client/client.h"\n')
        self.expect("src/wire/a.c: layers")

    def test_include_of_sibling_is_found(self):
        self.source('#include "record/record.h"\n')
        self.expect("src/wire/a.c: layers")

    def test_include_without_module_is_found(self):
        self.source('#include "wire.h"\n')
        self.expect("src/wire/a.c: layers")

    def test_include_of_foreign_internal_header_is_found(self):
        self.source('#include "base/base_internal.h"\n')
        self.expect("src/wire/a.c: layers")

    def test_only_a_test_includes_support(self):
        self.source('#include "support/shape.h"\n')
        self.source('#include "support/shape.h"\n', "src/wire/a_test.c")
        self.expect("src/wire/a.c: layers")

    def test_cycle_of_layers_is_found(self):
        self.write("tools/layers.txt", "base -> os -> {wire, record} -> client -> cli -> base\n")
        self.assertTrue(any("stands above itself" in line for line in self.run_tidy()))

    def test_module_outside_the_layers_is_found(self):
        self.write("src/extra/README.md", "# extra\n")
        self.expect("src/extra: layers")

    def test_missing_readme_is_found(self):
        (self.root / "src/wire/README.md").unlink()
        self.expect("src/wire: readme")

    def test_raw_call_is_found_outside_os_only(self):
        self.source("int a(void)\n{\n    return fsync(1) + pthread_self();\n}\n")
        self.source("int a(void)\n{\n    return fsync(1);\n}\n", "src/os/a.c")
        self.expect("src/wire/a.c: raw", "src/wire/a.c: raw")

    def test_raw_words_in_comments_texts_and_members_are_no_calls(self):
        self.source('/* read(2) */\nint a(void)\n{\n    b("open(x)");\n    f->read(1);\n}\n')
        self.expect()

    def test_raw_header_is_found(self):
        self.source("#include <pthread.h>\n")
        self.expect("src/wire/a.c: raw")

    def test_print_outside_cli_is_found(self):
        self.source('int a(void)\n{\n    printf("x");\n}\n')
        self.source('int b(void)\n{\n    printf("x");\n}\n', "src/cli/b.c")
        self.expect("src/wire/a.c: edge")

    def test_unsafe_call_is_found(self):
        self.source("int a(char *b)\n{\n    strcpy(b, b);\n}\n")
        self.expect("src/wire/a.c: unsafe")

    def test_sleep_in_a_test_is_found(self):
        self.source("int a(void)\n{\n    usleep(1);\n}\n", "tests/sim/a.c")
        self.expect("tests/sim/a.c: sleep")

    def test_exception_with_reason_is_obeyed(self):
        self.source("int a(void)\n{\n    return fsync(1);\n}\n")
        self.write("tools/tidy_allow.txt", "raw src/wire/a.c fsync the library wants it\n")
        self.expect()

    def test_exception_without_reason_is_refused(self):
        self.write("tools/tidy_allow.txt", "raw src/wire/a.c fsync\n")
        with self.assertRaises(SystemExit):
            self.run_tidy()

    def test_exception_that_nothing_needs_is_found(self):
        self.write("tools/tidy_allow.txt", "raw src/wire/a.c fsync the library wants it\n")
        self.expect("tools/tidy_allow.txt: stale")

    def test_long_function_is_found(self):
        self.source("int a(void)\n{\n" + "    b;\n" * 67 + "}\n")
        self.expect()
        self.source("int a(void)\n{\n" + "    b;\n" * 68 + "}\n")
        self.expect("src/wire/a.c: function-lines")

    def test_many_parameters_are_found(self):
        self.source("int a(int (*b)(int, int), int c, int d, int e, int f, int g)\n{\n}\n")
        self.expect()
        self.source("int a(int b, int c, int d, int e, int f,\n      int g, int h)\n{\n}\n")
        self.expect("src/wire/a.c: parameters")

    def test_wide_struct_is_found(self):
        fields = "".join(f"    int f{i};\n" for i in range(20))
        self.source("struct a {\n" + fields + "};\n")
        self.expect()
        self.source("struct a {\n" + fields + "    int (*g)(int, int);\n};\n")
        self.expect("src/wire/a.c: fields")

    def test_long_line_and_file_are_found(self):
        self.source("/* " + "x" * 100 + " */\n")
        self.source("\n" * 800, "src/wire/b.c")
        self.expect("src/wire/a.c: columns", "src/wire/b.c: file-lines")

    def test_baseline_lets_a_size_stand_but_not_grow(self):
        self.source("int a(void)\n{\n" + "    b;\n" * 77 + "}\n")
        self.write("tools/tidy_baseline.txt", "function-lines src/wire/a.c:a 80\n")
        self.expect()
        self.source("int a(void)\n{\n" + "    b;\n" * 78 + "}\n")
        self.expect("src/wire/a.c: function-lines")

    def test_baseline_shrinks(self):
        self.source("int a(void)\n{\n" + "    b;\n" * 72 + "}\n")
        self.write("tools/tidy_baseline.txt", "function-lines src/wire/a.c:a 80\n")
        self.expect("tools/tidy_baseline.txt: stale")
        self.assertEqual(self.run_tidy("--shrink"), [])
        text = (self.root / "tools/tidy_baseline.txt").read_text()
        self.assertIn("function-lines src/wire/a.c:a 75\n", text)
        self.expect()

    def test_wrong_guard_is_found(self):
        self.write("src/wire/wire.h", HEADER.format("wire", "WIRE_H"))
        self.expect("src/wire/wire.h: guard")

    def test_missing_opening_is_found(self):
        self.write("src/wire/a.c", "int a;\n\nint b(void);\n")
        self.write("tools/b.py", "import sys\n")
        self.write("tools/c.sh", "#!/bin/sh\nset -eu\n")
        rules = [line.split(": ")[1] for line in self.run_tidy()]
        self.assertEqual(rules.count("opening"), 3)

    def test_unfinished_work_is_found(self):
        self.source(f"/* {UNFINISHED}: more */\n")
        self.expect("src/wire/a.c: unfinished")

    def test_mutable_global_is_found(self):
        self.source("static int count;\nconst char *name = NULL;\n")
        self.expect("src/wire/a.c: global", "src/wire/a.c: global")
        self.source("static const int count = 1;\nstatic const char *const name = NULL;\n"
                    "static int call(int a);\nstatic const char *const names[] = {NULL};\n")
        self.expect()

    def test_config_that_nobody_reads_is_found(self):
        self.write("tools/layers.txt", "base -> os -> {wire, record} -> broker -> client -> cli\n")
        self.write("src/broker/README.md", "# broker\n")
        names = "enum config_id {\n    CONFIG_A,\n    CONFIG_B,\n    CONFIG_ID_COUNT\n};\n"
        self.write("src/broker/config.h", HEADER.format("config", "HEADRACE_BROKER_CONFIG_H")
                   .replace("int config(void);\n", names))
        self.source("static const int a = CONFIG_A;\n", "src/broker/config_defs.c")
        self.source("int b(void)\n{\n    return CONFIG_B;\n}\n", "src/broker/b.c")
        self.expect("src/broker/config.h: configs")

    def test_tour_names_what_exists(self):
        self.source("int wire_go(void)\n{\n}\n")
        self.write("docs/TOUR.md", "`src/wire/a.c` calls `wire_go()`, `acks=all`, `wire/wire.h`.\n")
        self.expect()
        self.write("docs/TOUR.md", "`src/wire/gone.c` calls `wire_gone()`.\n")
        self.expect("docs/TOUR.md: page", "docs/TOUR.md: page")


if __name__ == "__main__":
    unittest.main()
