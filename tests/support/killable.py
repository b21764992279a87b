"""The binary under kill -9: a server that keeps its port and its data through all its lives, and
what the loops that kill it have in common."""

import os
import pathlib
import shutil
import struct
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
for folder in ("interop", "oracle", "crash"):
    sys.path.insert(0, str(ROOT / "tests" / folder))
import process  # noqa: E402
import raw  # noqa: E402
import toolchains  # noqa: E402

READY_S = 30
END_S = 90  # for clients to finish once nobody dies any more
LOST = (OSError, raw.KafkaError, process.Timeout)
EXPECTED = (RuntimeError, *LOST, struct.error, ValueError)


class Server:
    """The binary under test; options are those of add_options, settings are -X values."""

    def __init__(self, options, out, settings):
        self.command = [options.binary, "serve", "--data", out / "data",
                        "--http", "127.0.0.1:0"]
        for setting in settings:
            self.command += ["-X", setting]
        self.env = dict(os.environ)
        if options.lossy:
            self.env["HEADRACE_LOSSY"] = str(out / "data")
            self.env["HEADRACE_LOSSY_KEEP"] = str(options.keep_percent)
        self.stderr = out / "server.stderr"
        self.port = 0
        self.child = None
        self.start()

    def address(self):
        return f"127.0.0.1:{self.port}"

    def start(self):
        kafka = ["--kafka", self.address()]
        self.child = process.Child([*self.command, *kafka], self.stderr, env=self.env)
        line = self.child.read_line(process.Deadline(READY_S))
        words = (line or b"").decode().split()
        if words[:2] != ["headrace", "ready"]:
            raise RuntimeError(f"the server did not start: {line!r}\n" + self.child.stderr_tail())
        self.port = int(dict(w.split("=", 1) for w in words[2:])["kafka"].rpartition(":")[2])

    def kill(self):
        if self.child.popen.poll() is not None:
            raise RuntimeError("the server ended by itself\n" + self.child.stderr_tail())
        self.child.kill()
        self.child.close()

    def restart(self):
        self.kill()
        self.start()


def finish(child, name):
    """Lets a child end by itself; what it cannot live with is a failure."""
    child.popen.stdin.close()
    try:
        code = child.popen.wait(END_S)
    except subprocess.TimeoutExpired:
        child.kill()
        raise RuntimeError(f"{name} did not end within {END_S} s\n" + child.stderr_tail())
    if code:
        raise RuntimeError(f"{name} ended with {code}\n" + child.stderr_tail())


def kill_all(children):
    for child in children.values():
        child.kill()


def add_options(parser, out):
    """What every loop is told; `out` is where its data and histories go by default."""
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "build/release/headrace")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--lossy", action="store_true", help="the binary is headrace_lossy")
    parser.add_argument("--keep-percent", type=int, default=0,
                        help="lossy: how much of what was not synced survives")
    parser.add_argument("--out", type=pathlib.Path, default=out)


def command_again(options, script):
    """The command line that repeats a run."""
    lossy = f" --lossy --keep-percent {options.keep_percent}" if options.lossy else ""
    return (f"{script} --binary {options.binary} --kills {options.kills} "
            f"--seed {options.seed}{lossy}")


def prepare(options, steps, sources):
    """The folder of a run, with the toolchains of `steps` and the classes of Java sources."""
    out = options.out.resolve()
    shutil.rmtree(out, ignore_errors=True)
    (out / "classes").mkdir(parents=True)
    failed = toolchains.build(steps)
    if failed:
        sys.exit("\n".join(failed.values()))
    toolchains.run(toolchains.tool("javac"), "-Xlint:all,-processing,-classfile", "-Werror", "-d",
                   out / "classes", "-cp", toolchains.jars() / "*", *sources)
    return out
