"""Every property of Apache Kafka's broker is one that Headrace obeys, or says has no effect."""

import re
import subprocess

import toolchains

TABLES = ("src/broker/config_defs.c", "src/broker/config_known.c")


def kafkas_names():
    """The names that Kafka 4.3.1 itself lists."""
    source = toolchains.ROOT / "tests/interop/Properties.java"
    done = subprocess.run(["java", "-cp", str(toolchains.jars() / "*"), str(source)],
                          capture_output=True, text=True, timeout=120, check=True)
    return set(done.stdout.split())


def our_names():
    names = set()
    for table in TABLES:
        names |= set(re.findall(r'"([a-z0-9.]+\.[a-z0-9.]+|listeners)"',
                                (toolchains.ROOT / table).read_text()))
    return names


def check():
    """Returns a failure's text, or None."""
    missing = sorted(kafkas_names() - our_names())
    return f"unknown to Headrace: {', '.join(missing)}" if missing else None
