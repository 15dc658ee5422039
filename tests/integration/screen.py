# SPDX-License-Identifier: Apache-2.0
"""A terminal with a screen (tmux): type into a program and read what it shows."""
import os
import shutil
import subprocess
import tempfile

from cordon import PROGRAM, need_program, wait_until


class Screen:
    """cordon in a tmux session of its own. The server ends with close(), or with the context."""

    def __init__(self, *args, rows=24, columns=90):
        need_program("tmux")
        self.socket = os.path.join(tempfile.mkdtemp(), "tmux")
        command = " ".join([PROGRAM, *args])
        env = dict(os.environ, TERM="screen-256color", LANG="C.UTF-8")
        subprocess.run(self._tmux("new-session", "-d", "-x", str(columns), "-y", str(rows),
                                  f"{command}; echo status $?; sleep 1000"), env=env, check=True)

    def _tmux(self, *args):
        return ["tmux", "-S", self.socket, "-f", "/dev/null", *args]

    def _run(self, *args, stdin=None):
        return subprocess.run(self._tmux(*args), check=True, input=stdin, stdout=subprocess.PIPE).stdout

    def __enter__(self):
        return self

    def __exit__(self, *_exception):
        self.close()

    def close(self):
        subprocess.run(self._tmux("kill-server"), check=False)
        shutil.rmtree(os.path.dirname(self.socket))

    def type(self, text, *keys):
        """Type text as it is, then keys by their names (Enter, C-c, Tab, Up)."""
        if text:
            self._run("send-keys", "-l", text)
        if keys:
            self._run("send-keys", *keys)

    def paste(self, data):
        """Paste as a terminal does for a program that has requested bracketed paste."""
        self._run("load-buffer", "-b", "paste", "-", stdin=data)
        self._run("paste-buffer", "-p", "-b", "paste")

    def resize(self, rows, columns):
        self._run("resize-window", "-x", str(columns), "-y", str(rows))

    def text(self):
        """The screen's lines, without blanks at their ends and without empty lines at the end."""
        lines = [line.rstrip() for line in self._run("capture-pane", "-p").decode().split("\n")]
        return "\n".join(lines).rstrip()

    def wait(self, text, seconds=120):
        """Wait until the text is on the screen; return the screen."""
        try:
            wait_until(lambda: text in self.text(), text, seconds)
        except AssertionError:
            raise AssertionError(f"no {text!r} on the screen:\n{self.text()}") from None
        return self.text()

    def wait_last(self, line, seconds=120):
        """Wait until the last line of the screen is this one."""
        def there():
            return self.text().rpartition("\n")[2] == line
        try:
            wait_until(there, line, seconds)
        except AssertionError:
            raise AssertionError(f"the last line is not {line!r}:\n{self.text()}") from None
        return self.text()

    def run(self, line, last):
        """Clear the screen, enter a line, wait for the prompt `last`; return what stands between."""
        self.type("", "C-l")
        self.type(line, "Enter")
        wait_until(lambda: self._output(line, last) is not None, f"{line!r} to end: {self.text()!r}", 120)
        return self._output(line, last)

    def _output(self, line, last):
        """What stands between the line, which may fill several rows, and the prompt; None: it is not there yet."""
        lines = self.text().split("\n")
        for i in range(1, len(lines)):
            if "".join(lines[:i]).endswith(line):
                return "\n".join(lines[i:-1]) if lines[-1] == last else None
        return None
