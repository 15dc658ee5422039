# SPDX-License-Identifier: Apache-2.0
"""README's session works as it is printed there: run line by line, and compared with what README prints."""
import os
import queue
import re
import socket
import subprocess
import threading

import cordon
from cordon import call, limit, wait_until, work
from test_publish import free_port

# What differs between two runs, and what README prints for it.
VARIES = [
    (r"by uid \d+, process \d+$", "by uid 1000, process 4242"),
]
PORT = "8077"                               # of the host: another one here, which is free
TITLE = "## A sandbox that stays"
END = "end of the command"


def session():
    """The commands of README's session, each with the lines that it prints."""
    with open(os.path.join(cordon.TOP, "README.md"), encoding="utf-8") as readme:
        block = readme.read().split(TITLE + "\n")[1].split("```\n")[1].replace(PORT, str(free_port()))
    commands = []
    for line in block.splitlines():
        if line.startswith("$ "):
            commands.append((line[2:], []))
        else:
            commands[-1][1].append(line)
    return commands


class Shell:
    """The reader's shell, without a prompt."""

    def __init__(self):
        os.makedirs(work("bin"))
        os.symlink(cordon.PROGRAM, work("bin/cordon"))
        env = {**os.environ, "PATH": work("bin") + ":" + os.environ["PATH"]}
        self.popen = subprocess.Popen(["bash"], cwd=work(""), env=env, text=True, bufsize=1,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.popen.stdout:
            self.lines.put(line.rstrip("\n"))

    def run(self, command):
        """Run a line, which does not read the next ones; return what was printed until it had ended."""
        self.popen.stdin.write(f"{{ {command}\n}} </dev/null\necho {END}\n")
        printed = []
        while (line := self.lines.get(timeout=150 * cordon.TIME_SCALE)) != END:
            for pattern, shown in VARIES:
                line = re.sub(pattern, shown, line)
            printed.append(line)
        return printed

    def close(self):
        self.popen.stdin.write("kill $(jobs -p) 2>/dev/null; wait; exit\n")
        self.popen.stdin.close()
        self.popen.wait()


def listens(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", int(port))) == 0


@limit(900)
def test_session():
    cordon.need_program("bash", "python3", "tail")
    commands, shell = session(), Shell()
    verbs = {words for line, _printed in commands for words in re.findall(r"\bcordon (\w+)", line)}
    assert verbs == {"start", "attach", "exec", "ps", "ask", "snapshot", "fork", "stop", "restore"}, verbs
    assert any("cordon-guest propose" in line for line, _printed in commands), commands
    try:
        for command, expected in commands:
            printed = shell.run(command)
            assert printed == expected, f"README: {command}\nexpected {expected}\nprinted  {printed}"
            server = re.search(r"http\.server (\d+)", command)
            if server:                          # a script is faster than the reader whom it stands for
                wait_until(lambda server=server: listens(server[1]), "the server to listen")
    finally:
        for name in ("box", "box-1", "box-2", "again"):
            call("kill", name)
        shell.close()
