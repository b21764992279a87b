"""Makes the drivers: fetches the clients at their pinned versions and builds what needs building.

A step runs only when the content of its inputs has changed since its last success (a stamp under
build/interop/stamps). A missing toolchain is an error that names the tool and install.sh.
"""

import concurrent.futures
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
HERE = pathlib.Path(__file__).resolve().parent
CLIENTS = HERE / "clients"
OUT = ROOT / "build" / "interop"
STEP_S = 900
GO_MIN = (1, 26)
JVM = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
       "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]


class Missing(Exception):
    """A tool that the suite needs is not there."""


def jars():
    return OUT / "jars"


def java_command(*more):
    """java with Kafka's jars, and more folders, on its class path; the main class follows."""
    return ["java", *JVM, "-cp", ":".join([*more, str(jars() / "*")])]


def tool(name):
    path = shutil.which(name)
    if not path:
        raise Missing(f"{name} is not installed: tests/interop/install.sh installs it")
    return path


def go():
    """A Go recent enough for the clients: the system's, or the one that install.sh fetched."""
    for path in (shutil.which("go"), OUT / "go-toolchain/bin/go"):
        if path and pathlib.Path(path).exists():
            said = subprocess.run([path, "version"], capture_output=True, text=True, check=False)
            found = re.search(r"go(\d+)\.(\d+)", said.stdout)
            if found and (int(found[1]), int(found[2])) >= GO_MIN:
                return str(path)
    raise Missing("Go {}.{} or newer is not installed: tests/interop/install.sh installs it"
                  .format(*GO_MIN))


def run(*argv, cwd=ROOT, env=None):
    done = subprocess.run([str(a) for a in argv], cwd=cwd, env={**os.environ, **(env or {})},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=STEP_S, check=False)
    if done.returncode:
        raise RuntimeError(f"{argv[0]} failed with {done.returncode}:\n{done.stdout[-4000:]}")
    return done.stdout


def build_jars():
    run(tool("mvn"), "-q", "-B", "-f", HERE / "pom.xml", "dependency:copy-dependencies",
        f"-DoutputDirectory={fresh(jars())}")


def build_java():
    run(tool("javac"), "-Xlint:all,-processing,-classfile", "-Werror", "-d", fresh(OUT / "java"),
        "-cp", jars() / "*", *sorted((CLIENTS / "java").glob("*.java")))


def build_venv():
    run(tool("python3"), "-m", "venv", fresh(OUT / "venv"))
    run(OUT / "venv/bin/pip", "install", "-q", "--no-input", "-r", CLIENTS / "requirements.txt")


def build_librdkafka():
    run(tool("cc"), "-std=gnu17", "-O1", "-Wall", "-Wextra", "-Werror",
        *sorted((CLIENTS / "librdkafka").glob("*.c")),
        "-o", fresh(OUT / "librdkafka") / "driver", "-lrdkafka", "-ljansson")


def build_go():
    run(go(), "build", "-mod=readonly", "-o", f"{fresh(OUT / 'go')}/", "./...",
        cwd=CLIENTS / "go")


def build_kafkajs():
    target = fresh(OUT / "kafkajs")
    for path in (CLIENTS / "kafkajs").iterdir():
        if path.is_file():
            shutil.copy(path, target)
    run(tool("npm"), "ci", "--no-audit", "--no-fund", cwd=target)


def build_rdkafka():
    run(tool("cargo"), "build", "--release", "--locked", "--manifest-path",
        CLIENTS / "rdkafka/Cargo.toml", "--target-dir", OUT / "target")


def check_system():
    for name in ("kcat", "java"):
        tool(name)


def fresh(path):
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


# name -> (what makes it, the files whose content decides, what must exist afterwards)
STEPS = {
    "system": (check_system, [], []),
    "jars": (build_jars, ["pom.xml"], ["jars"]),
    "java": (build_java, ["clients/java", "pom.xml"], ["java/Driver.class"]),
    "venv": (build_venv, ["clients/requirements.txt"], ["venv/bin/python"]),
    "librdkafka": (build_librdkafka, ["clients/librdkafka"], ["librdkafka/driver"]),
    "go": (build_go, ["clients/go"], ["go/franz-go", "go/sarama", "go/crash"]),
    "kafkajs": (build_kafkajs, ["clients/kafkajs"], ["kafkajs/node_modules/kafkajs"]),
    "rdkafka": (build_rdkafka, ["clients/rdkafka"], ["target/release/interop-rdkafka"]),
}
AFTER = {"java": "jars"}  # the only step that needs another


def content_hash(inputs):
    digest = hashlib.sha256()
    for name in inputs:
        path = HERE / name
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in files:
            if "node_modules" not in file.parts and "target" not in file.parts:
                digest.update(str(file.relative_to(HERE)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


def build_step(name):
    make, inputs, outputs = STEPS[name]
    stamp = OUT / "stamps" / name
    want = content_hash(inputs)
    if (inputs and stamp.exists() and stamp.read_text() == want
            and all((OUT / o).exists() for o in outputs)):
        return
    print(f"building {name}", file=sys.stderr, flush=True)
    make()
    missing = [o for o in outputs if not (OUT / o).exists()]
    if missing:
        raise RuntimeError(f"building {name} left no {missing[0]}")
    stamp.parent.mkdir(parents=True, exist_ok=True)
    stamp.write_text(want)


def build(names):
    """Builds the named steps, two at a time; returns {name: error text} of those that failed."""
    names = list(dict.fromkeys(names))
    done = {name: threading.Event() for name in names}
    failed = {}

    def one(name):
        try:
            if AFTER.get(name) in done:
                done[AFTER[name]].wait()
            build_step(name)
        except (Missing, RuntimeError, OSError, subprocess.SubprocessError) as error:
            failed[name] = str(error)
        finally:
            done[name].set()

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        list(pool.map(one, sorted(names, key=lambda n: n in AFTER)))
    return failed
