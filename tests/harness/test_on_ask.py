# SPDX-License-Identifier: Apache-2.0
"""The examples for --on-ask in docs/examples, with a notify-send and a chat server that are fakes."""
import http.server
import json
import os
import re
import subprocess
import threading

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXAMPLES = os.path.join(TOP, "docs", "examples")
ROOM, SENT = "!room:chat.test", "$sent"
PATHS = {"PUT": f"/_matrix/client/v3/rooms/{ROOM}/send/m.room.message/",
         "GET": f"/_matrix/client/v1/rooms/{ROOM}/relations/{SENT}/m.annotation"}


def question(kind="net"):
    """The one that docs/control-protocol.md shows, as the command gets it. kind: net or proposal."""
    with open(os.path.join(TOP, "docs", "control-protocol.md"), encoding="utf-8") as file:
        found = re.findall(r'^ +(\{"id":ID,"event":"asked".*?\}\})\n', file.read(), re.M | re.S)
    text = found[("net", "proposal").index(kind)]
    shown = json.loads(re.sub(r":(ID|N|UNIX_TIME)\b", ":1", text))
    del shown["id"], shown["event"]
    return shown


def decide(example, home, kind="net", **environment):
    return subprocess.run([os.path.join(EXAMPLES, example), "tls", "ignored", "arguments"],
                          input=json.dumps(question(kind)) + "\n", capture_output=True, text=True, timeout=120,
                          env={"PATH": os.environ["PATH"], "HOME": str(home), **environment})


def test_examples_are_short():
    names = sorted(os.listdir(EXAMPLES))
    assert names == ["on-ask-chat.py", "on-ask-notify.py"]
    for name in names:
        with open(os.path.join(EXAMPLES, name), encoding="utf-8") as file:
            assert len(file.readlines()) <= 20, name
        with open(os.path.join(TOP, "docs", "on-ask.md"), encoding="utf-8") as file:
            assert f"](examples/{name})" in file.read(), name


@pytest.mark.parametrize("clicked", ["session", "no", ""], ids=["session", "no", "closed"])
def test_notification(tmp_path, clicked):
    fake = tmp_path / "notify-send"
    fake.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >"$HOME/arguments"\necho "{clicked}"\n', encoding="utf-8")
    fake.chmod(0o755)
    result = decide("on-ask-notify.py", tmp_path, PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert (result.returncode, result.stderr) == (0, ""), result
    if clicked:
        assert json.loads(result.stdout) == {"answer": clicked, "reason": "desktop notification"}
    else:                                   # no decision
        assert result.stdout == ""
    arguments = (tmp_path / "arguments").read_text(encoding="utf-8")
    assert "--action=once=Allow once\n" in arguments and "\n--\nSandbox: net connect?\n" in arguments, arguments
    assert arguments.endswith("\ntls api.example.com 93.184.216.34:443\nnet ask tls *:443\n"
                              "asked 2, allowed 1, denied 1 before\n"), arguments


@pytest.mark.parametrize("clicked", ["approve", "reject"])
def test_notification_of_a_proposal(tmp_path, clicked):
    fake = tmp_path / "notify-send"
    fake.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >"$HOME/arguments"\necho "{clicked}"\n', encoding="utf-8")
    fake.chmod(0o755)
    result = decide("on-ask-notify.py", tmp_path, "proposal", PATH=f"{tmp_path}:{os.environ['PATH']}")
    assert json.loads(result.stdout) == {"answer": clicked, "reason": "desktop notification"}, result
    arguments = (tmp_path / "arguments").read_text(encoding="utf-8")
    assert "--action=approve=Add the rule\n" in arguments and "once" not in arguments, arguments
    assert "\n--\nSandbox: net propose?\nnet allow tls pypi.org:443\n" in arguments, arguments


class Chat(http.server.BaseHTTPRequestHandler):
    """A Matrix server with one room. Reactions come one with each request for them."""
    reactions, posted = [], []

    def reply(self, body):
        known = self.path.startswith(PATHS[self.command]) and self.headers["Authorization"] == "Bearer secret"
        self.send_response(200 if known else 403)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def do_PUT(self):
        Chat.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.reply({"event_id": SENT})

    def do_GET(self):
        sender, key = Chat.reactions.pop(0)
        self.reply({"chunk": [{"sender": sender, "content": {"m.relates_to": {"key": key, "event_id": SENT}}}]})

    def log_message(self, *_args):
        pass


@pytest.fixture(name="server")
def serve(tmp_path):
    Chat.reactions, Chat.posted = [], []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Chat) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        (tmp_path / ".config" / "cordon").mkdir(parents=True)
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("kind, key, answer", [
    ("net", "\N{THUMBS UP SIGN}\N{VARIATION SELECTOR-16}", "once"), ("net", "\N{THUMBS DOWN SIGN}", "no"),
    ("proposal", "\N{THUMBS UP SIGN}", "approve"), ("proposal", "\N{THUMBS DOWN SIGN}", "reject")],
                         ids=["up", "down", "proposal-up", "proposal-down"])
def test_chat(tmp_path, server, kind, key, answer):
    settings = {"server": server, "token": "secret", "room": ROOM, "operators": ["@operator:chat.test"]}
    (tmp_path / ".config" / "cordon" / "chat.json").write_text(json.dumps(settings), encoding="utf-8")
    # Neither another member of the room nor another reaction decides.
    Chat.reactions = [("@guest:chat.test", "\N{THUMBS UP SIGN}"), ("@operator:chat.test", "\N{PARTY POPPER}"),
                      ("@operator:chat.test", key)]
    result = decide("on-ask-chat.py", tmp_path, kind)
    assert (result.returncode, result.stderr) == (0, ""), result
    assert json.loads(result.stdout) == {"answer": answer, "reason": "@operator:chat.test"}
    assert Chat.reactions == [] and len(Chat.posted) == 1, Chat.posted
    body = "Sandbox: {object} ({rule_text})?".format(**question(kind))
    assert Chat.posted[0]["body"].startswith(body), Chat.posted
    # Of a proposal the reaction adds a rule for good: the operator must see that.
    assert ("(approve) or " in Chat.posted[0]["body"]) == (kind == "proposal"), Chat.posted
    assert ("(once) or " in Chat.posted[0]["body"]) == (kind == "net"), Chat.posted
    assert body == "Sandbox: tls api.example.com 93.184.216.34:443 (net ask tls *:443)?" or kind == "proposal", body


def test_chat_that_refuses(tmp_path, server):
    settings = {"server": server, "token": "wrong", "room": ROOM, "operators": ["@operator:chat.test"]}
    (tmp_path / ".config" / "cordon" / "chat.json").write_text(json.dumps(settings), encoding="utf-8")
    result = decide("on-ask-chat.py", tmp_path)
    assert result.returncode != 0 and result.stdout == "" and "403" in result.stderr, result
