# SPDX-License-Identifier: Apache-2.0
"""README's sessions work as they are printed there: run line by line, and compared with what README prints."""
import os
import queue
import re
import shlex
import socket
import subprocess
import threading

import cordon
import images
from cordon import call, limit, wait_until, work, write
from test_publish import free_port

# Blocks that are no sessions, by a text in them.
NOT_RUN = {
    "the monitor, one process": "a drawing",
    "make demo     #": "builds the project, and installs packages",
}
# What differs between two runs, or two hosts.
VARIES = (
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", "TIME"),
    (r"sha256:[0-9a-f]{64}", "DIGEST"),
    (r"\b192\.0\.2\.\d+", "ADDRESS"),
)
PORT = "8077"                               # of the host: another one here, which is free
HOME = "/home/me/project"                   # the reader's working directory
AGENT = "my-agent"                          # the reader's: here a program that wants a terminal
END = "end of the command"


def blocks():
    """README's blocks, each with the title that it stands below."""
    with open(os.path.join(cordon.TOP, "README.md"), encoding="utf-8") as readme:
        text = readme.read()
    for section in re.split(r"^#+ ", text, flags=re.MULTILINE)[1:]:
        title = section.partition("\n")[0]
        for block in re.findall(r"^```\n(.*?)^```", section, re.MULTILINE | re.DOTALL):
            yield title, block


def sessions():
    """{title of the first, title of the second ...: commands}, each command with the lines that it prints."""
    found = {}
    for title, block in blocks():
        if any(text in block for text in NOT_RUN):
            continue
        commands = []
        for line in block.splitlines():
            if line.startswith("$ "):
                commands.append((line[2:], []))
            else:
                commands[-1][1].append(line)
        found[f"{title}, again" if title in found else title] = commands
    return found


def same(line):
    """A line without what varies."""
    line = line.replace(os.path.realpath(work("")).rstrip("/"), HOME)
    for pattern, word in VARIES:
        line = re.sub(pattern, word, line)
    return line


def listens(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", int(port))) == 0


class Shell:
    """The reader's shell, without a prompt."""

    def __init__(self):
        os.makedirs(work("bin"))
        os.symlink(cordon.PROGRAM, work("bin/cordon"))
        env = {**os.environ, "PATH": work("bin") + ":" + os.environ["PATH"], "PWD": os.path.realpath(work(""))}
        self.port = str(free_port())
        self.popen = subprocess.Popen(["bash"], cwd=work(""), env=env, text=True, bufsize=1,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.popen.stdout:
            self.lines.put(line.rstrip("\n"))

    def type(self, command):
        """Run a line, which does not read the next ones; return what was printed until it had ended."""
        self.popen.stdin.write(f"{{ {command}\n}} </dev/null\necho {END}\n")
        printed = []
        while not (line := self.lines.get(timeout=150 * cordon.TIME_SCALE)).endswith(END):
            printed.append(line)
        # What script(1) types at the end of its input may be echoed, without a newline.
        rest = line[:-len(END)].replace("^@", "").replace("^D\b\b", "")
        return printed + [rest] if rest else printed

    def close(self):
        self.popen.stdin.write("kill $(jobs -p) 2>/dev/null; wait; exit\n")
        self.popen.stdin.close()
        self.popen.wait()

    def run(self, commands):
        """Type each command, and compare what it prints."""
        for command, shown in commands:
            typed = command.replace(PORT, self.port).replace(AGENT, "tty -s")
            if " -t " in command:
                typed = f"script -qec {shlex.quote(typed.partition(' #')[0])} /dev/null"
            printed, expected = [same(line) for line in self.type(typed)], [same(line) for line in shown]
            expected = [line.replace(PORT, self.port) for line in expected]
            assert printed == expected, f"README: {command}\nexpected {expected}\nprinted  {printed}"
            if "http.server" in command:        # a script is faster than the reader whom it stands for
                wait_until(lambda: listens(self.port), "the server to listen")


def typed(title, *sandboxes):
    """Run the session below a title; end the sandboxes that it may have left where it failed."""
    shell = Shell()
    try:
        shell.run(sessions()[title])
        left = call("ps", "-q").expect(0).stdout
        assert left == b"", f"{title}: it leaves {left}"
    finally:
        for name in sandboxes:
            call("kill", name)
        shell.close()


def repository():
    """A project with a repository, as the reader has one."""
    cordon.need_program("git")
    subprocess.run(["git", "init", "-q", work("")], check=True)


def test_all_sessions_have_a_test():
    assert list(sessions()) == ["Cordon", "One command", "A sandbox that stays", "A sandbox that stays, again",
                                "Root file systems and the network"], list(sessions())
    for text in NOT_RUN:
        assert sum(text in block for _title, block in blocks()) == 1, text
    assert all(len(commands) > 3 for commands in sessions().values())
    assert same("a 192.0.2.4 b 2026-01-02T03:04:05.678Z") == "a ADDRESS b TIME" and same("42") == "42"


@limit(400)
def test_first_screen():
    repository()
    typed("Cordon", "box")


@limit(600)
def test_one_command():
    cordon.need_program("make")
    typed("One command")


@limit(900)
def test_a_sandbox_that_stays():
    cordon.need_program("bash", "python3", "tail")
    typed("A sandbox that stays", "box", "box-1", "box-2", "again")


@limit(600)
def test_an_agent():
    cordon.need_program("script")
    repository()
    typed("A sandbox that stays, again", "box")


@limit(600)
def test_roots_and_the_network():
    cordon.need_program("python3")
    layers = [*images.busybox_layers(), images.layer(("etc/alpine-release", images.FILE, b"3.21.3\n", 0o644))]
    image = images.docker_archive(work("alpine.tar"), layers)
    write("index.html", "<!DOCTYPE HTML>\n<p>a page\n")
    with images.removed(image):
        typed("Root file systems and the network")
