"""Starts a headrace on free ports of the loopback, for tests and measurements."""

import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import kafka_wire as wire


class Broker:
    """A running headrace. settings: -X values; options: whole words of the command line; prefix:
    words before it, which must end by executing the rest."""

    def __init__(self, binary, data, *settings, options=(), kafka="127.0.0.1:0", prefix=()):
        command = [*prefix, binary, "serve", "--data", data, "--http", "127.0.0.1:0", *options]
        if kafka:
            command += ["--kafka", kafka]
        for setting in settings:
            command += ["-X", setting]
        self.begin = time.monotonic()
        self.errors = tempfile.TemporaryFile(mode="w+")
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self.errors,
                                        text=True)
        line = self.process.stdout.readline()
        self.ready_ms = (time.monotonic() - self.begin) * 1000
        found = re.match(r"headrace ready kafka=(\S+):(\d+) http=(\S+):(\d+)\n", line)
        if not found:
            code = self.process.wait(timeout=30)
            raise AssertionError(f"not ready: {line!r}, exit code {code}: {self.said()}")
        self.address = found.group(1), int(found.group(2))
        self.http = f"http://{found.group(3)}:{found.group(4)}"

    def client(self):
        return wire.Client(*self.address)

    def said(self):
        """What it has written to standard error."""
        self.errors.seek(0)
        return self.errors.read()

    def rss_kib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status).group(1))

    def stop(self, how=signal.SIGTERM):
        """Ends it; a SIGTERM must lead to exit code 0."""
        self.process.send_signal(how)
        code = self.process.wait(timeout=60)
        self.process.stdout.close()
        said = self.said()
        self.errors.close()
        if how == signal.SIGTERM and code != 0:
            raise AssertionError(f"exit code {code}: {said}")


class Scratch:
    """A data folder that goes away."""

    def __enter__(self):
        self.path = tempfile.mkdtemp(prefix="headrace-test-")
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)
