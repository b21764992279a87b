"""The clients of a run: each a process that is started, killed, frozen, and in the end finished."""

import os
import pathlib
import signal

import killable
import process
import toolchains

HERE = pathlib.Path(__file__).resolve().parent
# name -> what it is written in, and its role. Copiers of one kind share a group, and so do readers.
CLIENTS = {
    "python0": ("python", "copy"), "python1": ("python", "copy"), "java": ("java", "copy"),
    "go0": ("go", "copy"), "go1": ("go", "copy"),
    "p0": ("python", "produce"), "p1": ("java", "produce"), "p2": ("go", "produce"),
    "r0": ("python", "read"), "r1": ("java", "read"), "r2": ("go", "read"),
}
SHARING = ("python0", "python1", "go0", "go1")  # those that take each other's partitions
MEMBERS = {"copy-python": ["python0", "python1"], "copy-java": ["java"],
           "copy-go": ["go0", "go1"], "readers": ["r0", "r1", "r2"]}
PRODUCERS = ("p0", "p1", "p2")
CATCH_S = 30        # to find a copier that is slow
TAIL_SIZE = 20_000  # of a history: more than a transaction's acknowledgements


class Crowd:
    """All clients; histories and what they say on standard error go to the folder `out`."""

    def __init__(self, address, out, seed, rate):
        self.out = out
        self.settings = [address, str(seed), str(rate)]
        self.commands = {
            "python": [toolchains.OUT / "venv/bin/python", HERE / "client.py"],
            "java": toolchains.java_command(str(out / "classes")) + ["CrashClient"],
            "go": [toolchains.OUT / "go/crash"]}
        self.children = {}
        self.lives = {}

    def history(self, name):
        return self.out / f"{name}-{self.lives[name]}.jsonl"

    def start(self, name):
        """One more life of a client, with a history of its own: the last line may be cut."""
        address, seed, rate = self.settings
        language, role = CLIENTS[name]
        life = self.lives[name] = self.lives.get(name, -1) + 1
        self.children[name] = process.Child(
            [*self.commands[language], role, address, name,
             self.history(name), seed, str(life), rate],
            self.out / f"{name}.stderr")

    def start_all(self):
        for name in CLIENTS:
            self.start(name)

    def kill(self, name):
        """Kills one; another takes its place at once, under the same names."""
        self.children[name].kill()
        self.children[name].close()
        self.start(name)

    def freeze(self, name):
        """Stops a copier that has sent records and takes its time before it sends offsets."""
        def is_caught():
            os.killpg(self.children[name].popen.pid, signal.SIGSTOP)
            if self.is_slow(name):
                return True
            self.thaw(name)
            return False

        process.poll_until(is_caught, CATCH_S, f"{name} between records and offsets")

    def is_slow(self, name):
        """Whether it noted that it is slow, and no end since."""
        with open(self.history(name), "rb") as history:
            history.seek(max(0, history.seek(0, os.SEEK_END) - TAIL_SIZE))
            tail = history.read()
        return tail.rfind(b'"slow"') > tail.rfind(b'"end"')

    def thaw(self, name):
        os.killpg(self.children[name].popen.pid, signal.SIGCONT)

    def usurp(self, name):
        """Starts another life beside a client; returns by what name the old one goes now."""
        old = f"{name}-old"
        self.children[old] = self.children.pop(name)
        self.start(name)
        return old

    def remove(self, name):
        child = self.children.pop(name)
        child.kill()
        child.close()

    def check_alive(self):
        for name, child in self.children.items():
            if child.popen.poll() is not None:
                raise RuntimeError(f"{name} gave up\n" + child.stderr_tail())

    def finish(self, names):
        for name in names:
            killable.finish(self.children.pop(name), name)

    def kill_all(self):
        killable.kill_all(self.children)
