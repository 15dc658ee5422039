# SPDX-License-Identifier: Apache-2.0
"""A client of shell sessions on the control socket, without the command line."""
import json
import socket
import time

from cordon import PROMPT, TIME_SCALE, wait_until
from sandboxes import ask, connect

SHELL = {"op": "shell", "argv": ["sh"], "env": ["PS1=" + PROMPT.decode()]}


def request(client, fds, **body):
    socket.send_fds(client, [json.dumps(body).encode()], fds)
    return receive(client)


def receive(client):
    return json.loads(client.recv(1 << 18))


class Shell:
    """A client of a session: `shell` starts one, `attach` finds one. Without `on`, the connection is its own."""

    def __init__(self, name="box", on=None, ident=1, buffer=None, **body):
        self.control = on or connect(name)
        self.stream, remote = socket.socketpair()
        if buffer:                          # of output on its way
            remote.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        self.stream.settimeout(0.1)
        self.output, self.ident = b"", ident
        self.reply = request(self.control, [remote.fileno()], id=ident, **(body or SHELL))
        remote.close()
        assert self.reply["ok"] and self.reply["id"] == ident, self.reply
        self.session = self.reply["session"]

    @classmethod
    def attach(cls, session=0, **keywords):
        return cls(op="attach", session=session, **keywords)

    def type(self, text):
        self.stream.sendall(text)

    def line(self, line):
        """Type a line at the prompt: a shell that edits lines discards what was typed before."""
        self.expect(PROMPT)
        self.type(line + b"\r")

    def read(self):
        """Bytes of the terminal, b"" at the end, None if there are none now."""
        try:
            data = self.stream.recv(1 << 16)
        except TimeoutError:
            return None
        self.output += data
        return data

    def expect(self, text, seconds=120):
        """Wait for `text`. Removes the output up to and including it from self.output and returns it."""
        deadline = time.monotonic() + seconds * TIME_SCALE
        while text not in self.output:
            assert time.monotonic() < deadline, f"no {text!r} in {self.output[-2000:]!r}"
            assert self.read() != b"", f"the end without {text!r}: {self.output[-2000:]!r}"
        before, _text, self.output = self.output.partition(text)
        return before + text

    def insist(self, line, text):
        """Type a line until the terminal shows `text`, in whatever state another client has left it."""
        def there():
            self.type(line + b"\r")
            for _i in range(20):
                self.read()
            return text in self.output
        wait_until(there, f"{text!r} after {line!r}")
        self.expect(text)

    def rest(self, seconds=60):
        """All output until the monitor has closed the socket."""
        deadline = time.monotonic() + seconds * TIME_SCALE
        while self.read() != b"":
            assert time.monotonic() < deadline, "the socket stays open"
        return self.output

    def detach(self):
        answer = ask(self.control, op="detach", id=9, exec=self.ident)
        assert answer == {"id": 9, "ok": True}, answer

    def close(self):
        self.stream.close()
        self.control.close()
