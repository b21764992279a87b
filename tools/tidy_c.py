"""The part of tidy.py that reads C.

No parser: the sources are formatted by clang-format (Linux braces), so that a line which is only
"{" in the first column opens a function, and "}" there ends it.
"""

import re

# The doors of src/os: whoever else calls these escapes the simulator.
RAW_CALLS = set("""
    clock_gettime clock gettimeofday time timerfd_create nanosleep usleep sleep
    getrandom getentropy rand srand random srandom arc4random
    open openat creat close read write pread pwrite readv writev preadv pwritev preadv2 pwritev2
    fsync fdatasync syncfs sync sync_file_range rename renameat unlink unlinkat remove mkdir rmdir
    truncate ftruncate fallocate posix_fallocate flock lockf fcntl stat fstat lstat lseek access
    opendir readdir scandir statvfs fstatvfs fopen fdopen freopen fread fgets getline tmpfile
    mkstemp mkdtemp mmap munmap msync sendfile splice copy_file_range
    socket bind listen accept accept4 connect send sendto sendmsg recv recvfrom recvmsg shutdown
    setsockopt getsockopt getsockname getpeername getaddrinfo poll ppoll select
    epoll_create1 epoll_ctl epoll_wait eventfd pipe pipe2 fork execve popen system
    thrd_create mtx_lock cnd_wait
""".split())
RAW_PREFIXES = ("pthread_", "io_uring_")
RAW_HEADERS = ("pthread.h", "threads.h", "sys/socket.h", "sys/epoll.h", "sys/uio.h", "sys/mman.h",
               "netinet/in.h", "netinet/tcp.h", "arpa/inet.h", "netdb.h", "sys/random.h")
# Libraries return errors and print nothing; only the edge, cli, speaks and ends the process.
EDGE_CALLS = {"printf", "fprintf", "vprintf", "vfprintf", "puts", "fputs", "putchar", "fputc",
              "perror", "fwrite", "exit", "_exit", "abort", "getenv", "setenv"}
UNSAFE_CALLS = {"gets", "strcpy", "strcat", "strncpy", "sprintf", "vsprintf", "strtok", "atoi",
                "atol", "atoll", "alloca", "asctime", "gmtime", "localtime", "assert"}
SLEEPS = {"sleep", "usleep", "nanosleep"}

TOKENS = re.compile(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", re.S)
CALL = re.compile(r"(?<![\w.>])([a-z_]\w*)\s*\(")
INCLUDE = re.compile(r'^#\s*include\s+(["<])([^">]+)[">]', re.M)
GLOBAL = re.compile(r"^(?:static |extern |_Thread_local )*[a-z]\w*[\w \*]*?\b(\w+)(?:\[[^\n=]*\])?"
                    r"(?: = [^\n]*|;)$", re.M)


def blank(match):
    """Keeps the lines of what it removes, and the quotes of a text."""
    token = match.group()
    if token[0] in "\"'":
        return token[0] * 2
    return "\n" * token.count("\n")


def line_of(text, position):
    return text.count("\n", 0, position) + 1


def split_top(text):
    """Splits at commas outside of parentheses."""
    parts, depth, current = [], 0, ""
    for letter in text:
        depth += (letter in "([{") - (letter in ")]}")
        if letter == "," and depth == 0:
            parts.append(current)
            current = ""
        else:
            current += letter
    return parts + [current]


def check_file(file, text, layers, report):
    code = TOKENS.sub(blank, text)
    if not text.startswith("/*"):
        report.add(file, 1, "opening", "open with a comment that says what the file is for")
    if file.endswith(".h"):
        check_guard(file, text, report)
    is_test = file.startswith("tests/") or file.endswith("_test.c")
    module = file.split("/")[1] if file.startswith("src/") else None
    if module is not None:
        check_includes(file, text, (module, is_test), layers, report)
    check_calls(file, code, (module, is_test), report)
    check_functions(file, code.splitlines(), report)
    check_structs(file, code, report)
    if module is not None and not is_test and file.endswith(".c"):
        check_globals(file, code, report)


def check_guard(file, text, report):
    parts = re.sub(r"^(src|include)/", "", file).upper()
    guard = re.sub(r"[^A-Z0-9]", "_", parts)
    guard = guard if guard.startswith("HEADRACE_") else "HEADRACE_" + guard
    start = f"\n#ifndef {guard}\n#define {guard}\n"
    if start not in text or not text.rstrip().endswith("#endif"):
        report.add(file, 1, "guard", f"a header is guarded by {guard}")


def check_includes(file, text, place, layers, report):
    module, is_test = place
    for match in INCLUDE.finditer(text):
        kind, name = match.groups()
        line = line_of(text, match.start())
        if kind == "<":
            if name in RAW_HEADERS and module != "os" and not is_test:
                report.forbid(file, line, "raw", name, f"<{name}> belongs to src/os")
            continue
        other, slash, rest = name.partition("/")
        if is_test and other == "support":
            continue
        if not slash or other not in layers:
            report.add(file, line, "layers", f'"{name}" does not start with a module')
        elif other == module:
            continue
        elif other not in layers.get(module, ()):
            report.add(file, line, "layers", f"{module} may not include {other}")
        elif rest.endswith("_internal.h"):
            report.add(file, line, "layers", f"{name} is internal to {other}")


def check_calls(file, code, place, report):
    module, is_test = place
    for match in CALL.finditer(code):
        name = match.group(1)
        is_raw = name in RAW_CALLS or name.startswith(RAW_PREFIXES)
        if name in SLEEPS and is_test:
            rule, text = "sleep", f"{name}() in a test: wait for the event itself"
        elif name in UNSAFE_CALLS:
            rule, text = "unsafe", f"{name}() is not used here"
        elif is_test or module is None:
            continue
        elif is_raw and module != "os":
            rule, text = "raw", f"{name}() belongs to src/os"
        elif name in EDGE_CALLS and module not in ("cli", "os"):
            rule, text = "edge", f"{name}() belongs to src/cli"
        else:
            continue
        report.forbid(file, line_of(code, match.start()), rule, name, text)


def check_functions(file, lines, report):
    start = None
    for number, line in enumerate(lines):
        if line == "{":
            start = number
            while start > 0 and lines[start - 1].strip() not in ("", "}", "};") and \
                    not lines[start - 1].startswith("#") and not lines[start - 1].endswith(";"):
                start -= 1
        elif line == "}" and start is not None:
            signature = " ".join(lines[start:number])
            check_function(file, start + 1, signature, number - start + 1, report)
            start = None


def check_function(file, line, signature, size, report):
    match = re.search(r"\b(\w+)\(", signature.split("{")[0])
    if match is None:
        return
    place = f"{file}:{match.group(1)}"
    report.measure(place, line, "function-lines", size, "")
    depth = 0
    for end in range(match.end() - 1, len(signature)):
        depth += (signature[end] == "(") - (signature[end] == ")")
        if depth == 0:
            break
    count = len([p for p in split_top(signature[match.end():end]) if p.strip() not in ("", "void")])
    report.measure(place, line, "parameters", count, "")


def check_structs(file, code, report):
    for match in re.finditer(r"^(?:typedef )?struct (\w+) \{\n(.*?)^\}", code, re.M | re.S):
        depth, count = 0, 0
        for statement in re.findall(r"[{}]|[^{};]*;", match.group(2)):
            depth += (statement == "{") - (statement == "}")
            if statement.endswith(";") and depth == 0 and statement.strip():
                count += len(split_top(statement))
        place = f"{file}:{match.group(1)}"
        report.measure(place, line_of(code, match.start()), "fields", count, "")


def check_globals(file, code, report):
    for match in GLOBAL.finditer(code):
        declaration = match.group()
        first = declaration.split()[0]
        head = declaration.split("=")[0]
        if "(" in head or first in ("typedef", "return", "goto", "case"):
            continue
        # Of a pointer, the const behind its last star counts.
        if re.search(r"\bconst\b", head.rpartition("*")[2]):
            continue
        if first == "extern" or re.fullmatch(r"(struct|enum|union) \w+;", declaration):
            continue
        report.forbid(file, line_of(code, match.start()), "global", match.group(1),
                      f"{match.group(1)} is a mutable global")
