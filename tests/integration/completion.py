#!/usr/bin/env python3
"""The scripts of `headrace completion`, run by the shells they are for.

Each shell is asked for what may follow a line; all must say the same.
"""

import os
import pathlib
import pty
import shutil
import subprocess
import tempfile
import unittest

import case

# Lines, and some of the words that must be offered; None: nothing of ours is.
LINES = (
    ("headrace ", {"serve", "topic", "group", "cluster", "config", "produce", "consume"}),
    ("headrace gro", {"group"}),
    ("headrace topic ", {"create", "list", "describe", "config", "add-partitions", "delete"}),
    ("headrace topic cr", {"create"}),
    ("headrace topic create --", {"--partitions", "--if-not-exists", "--bootstrap"}),
    ("headrace produce --nu", {"--null"}),
    ("headrace group reset --dr", {"--dry-run"}),
    ("headrace group reset a b c d e f g h i --dr", {"--dry-run"}),
    ("headrace config check --", {"--help"}),
    ("headrace topic create no-such-", None),
)

# The user's .zshrc, and a key that completes and tells which words there were.
ZSHRC = """
autoload -Uz compinit && compinit -u -D
%s
compadd() {
    local -a hits
    builtin compadd -O hits "$@"
    offered+=($hits)
    builtin compadd "$@"
}
told() {
    local -a offered
    _main_complete
    print -r -- ${(u)offered} >$TOLD
    compstate[insert]= compstate[list]=
}
zle -C told complete-word told
bindkey '^I' told
print >$TOLD
"""


class Completion(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.home = tempfile.mkdtemp(prefix="headrace-test-")
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)
        self.environment = {"HOME": self.home, "ZDOTDIR": self.home, "TERM": "dumb",
                            "PATH": os.environ["PATH"], "TOLD": self.home + "/told"}

    def script(self, shell):
        path = pathlib.Path(self.home, shell)
        path.write_bytes(self.run_there(case.BrokerCase.binary, "completion", shell))
        return path

    def run_there(self, *command):
        self.assertIsNotNone(shutil.which(command[0]),
                             f"{command[0]} is not there; `make deps` installs it")
        done = subprocess.run(command, capture_output=True, check=False, timeout=60,
                              cwd=self.home, env=self.environment)
        self.assertEqual(done.stderr, b"")
        return done.stdout

    def bash(self, line):
        words = [*line.split(), ""] if line.endswith(" ") else line.split()
        ask = ('source "$1"; shift; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _headrace; '
               'echo "${COMPREPLY[*]}"')
        said = self.run_there("bash", "--norc", "-c", ask, "bash", self.script("bash"), *words)
        return set(said.decode().split())

    def fish(self, line):
        ask = 'source $argv[1]; cd /; complete -C $argv[2]'
        said = self.run_there("fish", "--no-config", "-c", ask, self.script("fish"), line)
        return {word.split("\t")[0] for word in said.decode().splitlines()}

    def zsh(self, line, load='source "%s"'):
        """Types the line into a zsh with a terminal, and the key behind it."""
        self.assertIsNotNone(shutil.which("zsh"), "zsh is not there; `make deps` installs it")
        pathlib.Path(self.home, ".zshrc").write_text(ZSHRC % (load % self.script("zsh")),
                                                     encoding="ascii")
        os.mkfifo(self.environment["TOLD"])
        child, terminal = pty.fork()
        if child == 0:
            os.chdir(self.home)
            os.execvpe("zsh", ["zsh", "-d", "-i"], self.environment)
        try:
            pathlib.Path(self.environment["TOLD"]).read_bytes()  # it is ready for keys
            os.write(terminal, line.encode() + b"\t")
            said = pathlib.Path(self.environment["TOLD"]).read_text(encoding="ascii")
        finally:
            os.kill(child, 9)
            os.waitpid(child, 0)
            os.close(terminal)
            os.unlink(self.environment["TOLD"])
        return set(said.split())

    def test_shells_offer_the_same_words(self):
        for line, wanted in LINES:
            with self.subTest(line):
                found = {shell.__name__: shell(line) for shell in (self.bash, self.zsh, self.fish)}
                self.assertEqual(found["bash"], found["zsh"])
                self.assertEqual(found["bash"], found["fish"])
                if wanted is None:
                    self.assertEqual(found["bash"], set())
                else:
                    self.assertLessEqual(wanted, found["bash"])

    def test_zsh_loads_it_from_its_path_of_functions(self):
        folder = pathlib.Path(self.home, "functions")
        folder.mkdir()
        shutil.copy(self.script("zsh"), folder / "_headrace")
        load = f"fpath=({folder} $fpath); compinit -u -D; : %s"
        self.assertEqual(self.zsh("headrace gro", load), {"group"})


if __name__ == "__main__":
    case.main()
