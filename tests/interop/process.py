"""Child processes with an end: started with their stderr in a file, stopped by pid, never by name.

Every wait in the suite goes through `Deadline` or `poll_until`, so nothing can hang and every
time-out says what it was waiting for.
"""

import os
import pathlib
import selectors
import signal
import socket
import subprocess
import time

POLL_S = 0.02  # between two looks at remote state, for which nobody sends an event
STOP_S = 20  # from SIGTERM to SIGKILL
TAIL_BYTES = 1500  # of a stderr file, quoted in a failure


class Timeout(Exception):
    """A bounded wait that ended without what it waited for."""


class Deadline:
    """A point in time that several waits share."""

    def __init__(self, seconds):
        self.seconds = seconds
        self.end = time.monotonic() + seconds

    def left(self):
        return max(0.0, self.end - time.monotonic())

    def passed(self):
        return time.monotonic() >= self.end


def poll_until(look, seconds, what):
    """Calls look() until it returns something true, and returns that."""
    deadline = Deadline(seconds)
    while True:
        seen = look()
        if seen:
            return seen
        if deadline.passed():
            raise Timeout(f"{what}: not within {seconds} s")
        time.sleep(POLL_S)


def free_port():
    """A port nobody listens on now; the caller binds it at once."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Child:
    """A child process spoken to by lines. It leads a process group of its own, so that what it
    started in turn (a console consumer, say) ends with it."""

    def __init__(self, argv, stderr_path, env=None, cwd=None):
        self.argv = [str(a) for a in argv]
        self.stderr_path = pathlib.Path(stderr_path)
        self.stderr_path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.stderr_path, "ab") as stderr:
            self.popen = subprocess.Popen(
                self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
                env=env, cwd=cwd, bufsize=0, start_new_session=True)
        self.pending = bytearray()
        self.lines = []
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.popen.stdout, selectors.EVENT_READ)
        self.at_end = False

    def write_line(self, text):
        data = memoryview(text.encode() + b"\n")
        while data:
            data = data[self.popen.stdin.write(data):]

    def read_line(self, deadline):
        """The next stdout line without its newline; None at end of file; Timeout when late."""
        while not self.lines:
            if self.at_end:
                return None
            if not self.selector.select(deadline.left()):
                raise Timeout(f"no answer within {deadline.seconds} s")
            chunk = self.popen.stdout.read(1 << 20)
            self._take(chunk)
        return self.lines.pop(0)

    def _take(self, chunk):
        if not chunk:
            self.at_end = True
            return
        head, newline, tail = chunk.rpartition(b"\n")
        if not newline:
            self.pending += chunk
            return
        self.lines += bytes(self.pending + head).split(b"\n")
        self.pending = bytearray(tail)

    def stderr_tail(self):
        data = self.stderr_path.read_bytes()[-TAIL_BYTES:]
        return data.decode(errors="replace").strip()

    def kill(self):
        """SIGKILL: the member that is lost without a word."""
        self._signal_group(signal.SIGKILL)
        self.popen.wait()

    def _signal_group(self, sig):
        try:
            os.killpg(self.popen.pid, sig)
        except ProcessLookupError:
            pass

    def stop(self, sig=signal.SIGTERM, seconds=STOP_S):
        """Asks by signal, waits, kills if it does not obey; returns the exit code."""
        if self.popen.poll() is None:
            self._signal_group(sig)
        try:
            self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        self.close()
        return self.popen.returncode

    def close(self):
        self._signal_group(signal.SIGKILL)
        self.selector.close()
        self.popen.stdin.close()
        self.popen.stdout.close()


def run(argv, seconds, stdin=b"", env=None, cwd=None):
    """Runs a command to its end; returns (exit code, stdout, stderr) as bytes."""
    done = subprocess.run([str(a) for a in argv], input=stdin, capture_output=True,
                          timeout=seconds, env=env, cwd=cwd, check=False)
    return done.returncode, done.stdout, done.stderr
