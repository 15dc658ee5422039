# SPDX-License-Identifier: Apache-2.0
"""cordon top: pages of a sandbox and of all, as text, as JSON, and on a terminal."""
import json
import os
import signal
import time

from cordon import Process, Terminal, call, wait_until
from sandboxes import ask, connect, execute, sandbox

EVIL = "\x1b[2J\x1b]0;x\x07\u202eevil"
HARMLESS = b"\\x1b[2J\\x1b]0;x\\x07\\u202eevil"


def work(name):
    path = os.path.join(os.environ["CORDON_TEST_BASE"], "work", name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return path


def shared():
    """A policy that shares a directory with `open`, and `secret`, which is denied."""
    for name in ("top/open", "top/secret"):
        with open(work(name), "w", encoding="utf-8") as file:
            file.write("x\n")
    with open(work("p"), "w", encoding="utf-8") as file:
        file.write(f"policy 1\nshare {work('top')} /w\nfile deny /w/secret\nfile read /w/**\n")
    return work("p")


def page(*args):
    return call("top", "--once", *args).expect(0, stderr=b"").stdout


def data(*args):
    """A page as JSON that has a list of processes: on a busy host a guest may take too long for one."""
    last = {}

    def there():
        last.update(json.loads(call("top", "--once", "--json", *args).expect(0, stderr=b"").stdout))
        return last.get("processes")
    wait_until(there, "a list of processes")
    return last


def screen(terminal, columns):
    """The next whole page: its lines, none wider than the screen."""
    terminal.expect(b"\x1b[H")
    lines = terminal.expect(b"\x1b[H")[:-3].split(b"\r\n")
    lines = [line.removeprefix(b"\x1b[K") for line in lines]
    for line in lines:
        assert b"\x1b" not in line and len(line.decode()) <= columns, lines
    return lines


def test_a_sandbox_on_a_page():
    """Processes, a denial with its rule, a file touched; a paused sandbox; a request that shares the list."""
    with sandbox("box", "--policy", shared()):
        execute("box", "sh", "-c", "while :; do :; done", EVIL, options=["-d"]).expect(0)
        execute("box", "sh", "-c", "cat /w/open; cat /w/secret; echo x >/w/secret").expect(1)

        found = data("box")
        busy = [item for item in found["processes"] if "evil" in item["command"]]
        assert len(busy) == 1 and busy[0]["command"].encode().endswith(HARMLESS), found["processes"]
        assert busy[0]["uid"] == 0 and busy[0]["threads"] == 1 and busy[0]["cpu_us"] > 0, busy
        assert busy[0] == found["processes"][0] and busy[0]["cpu_percent"] > 0, found["processes"]
        assert {item["command"] for item in found["processes"] if item["pid"] == 1} <= {"/init", "sandbox"}, found
        assert not [item for item in found["processes"] if item["command"] in ("spare", "list")], found
        assert found["state"] == "running" and found["jobs"] == 1 and found["private_kib"] > 0, found
        assert found["denials"][0]["object"] == "/w/secret" and found["denials"][0]["rule"].endswith("p:3"), found
        assert "/w/open" in [line["object"] for line in found["files"]], found["files"]

        def whole():
            return HARMLESS in page("box")
        wait_until(whole, "a page with the processes")
        text = page("box")
        assert text.startswith(b"box  running  up "), text
        denial = [line for line in text.splitlines() if b"/w/secret" in line]
        assert denial and b"p:3" in denial[0] and b"file" in denial[0], text
        assert b"\x1b" not in text and b"\x07" not in text and "\u202e".encode() not in text, text
        assert b"\nbox " in page(), page()

        lines = Process("top", "--json", "--interval", "100ms", "box")
        wait_until(lambda: lines.output["stdout"].count(b"\n") >= 3, "three pages")
        lines.signal(signal.SIGINT)
        lines.wait()
        for line in lines.output["stdout"].splitlines()[:3]:
            assert json.loads(line)["name"] == "box", line

        call("pause", "box").expect(0)
        text = page("box")
        assert text.startswith(b"box  paused ") and b"\nthe sandbox is paused: resume it first\n" in text, text
        assert b"/w/secret" in text, text
        call("resume", "box").expect(0)
        assert data("box")["state"] == "running"


def test_many_requests_for_the_list():
    """Clients that leave, and many at once, leave the sandbox and each other alone."""
    with sandbox():
        for _i in range(20):
            client = connect()
            client.send(b'{"op":"processes","id":1}')
            client.close()
        clients = [connect() for _i in range(20)]
        for number, client in enumerate(clients):
            client.send(json.dumps({"op": "processes", "id": number}).encode())
        for number, client in enumerate(clients):
            reply = json.loads(client.recv(1 << 18))
            assert reply["id"] == number and (reply["ok"] or "2 seconds" in reply["error"]), reply
            client.close()
        client = connect()
        wait_until(lambda: ask(client, op="processes", id=5)["ok"], "a list of processes")
        client.close()
        execute("box", "true").expect(0)


def test_top_on_a_terminal():
    """Pages fit the screen and follow its size; q and Ctrl-C end it, and so does the sandbox's end."""
    with sandbox():
        execute("box", "sleep", "1000", "\u4e2d" * 200, options=["-d"]).expect(0)
        terminal = Terminal("top", "--interval", "200ms", "box", rows=20, columns=60, env={"TERM": "xterm"})
        lines = screen(terminal, 60)
        assert len(lines) == 20 and lines[0].startswith(b"box  running"), lines
        assert terminal.settings() != terminal.before, "the terminal is not raw"
        terminal.resize(9, 40)
        time.sleep(1)
        terminal.output = b""
        lines = screen(terminal, 40)
        assert len(lines) == 9, lines
        terminal.type(b"q")
        assert terminal.wait() == 0, terminal.output
        assert terminal.settings() == terminal.before, "the terminal's settings are not restored"
        terminal.close()

        terminal = Terminal("top", env={"TERM": "xterm"})
        lines = screen(terminal, 80)
        assert lines[0].startswith(b"NAME") and lines[1].startswith(b"box "), lines
        terminal.type(b"\x03")
        assert terminal.wait() == 0, terminal.output
        assert terminal.settings() == terminal.before, "the terminal's settings are not restored"
        terminal.close()

        terminal = Terminal("top", "box", env={"TERM": "dumb"})
        assert terminal.wait() == 0 and b"box  running" in terminal.output, terminal.output
        assert b"\x1b" not in terminal.output, terminal.output
        terminal.close()

        terminal = Terminal("top", "box", env={"TERM": "xterm"})
        terminal.expect(b"box  running")
        terminal.popen.terminate()
        assert terminal.wait() == 128 + 15, terminal.output
        assert terminal.settings() == terminal.before, "the terminal's settings are not restored"
        terminal.close()

        terminal = Terminal("top", "box", env={"TERM": "xterm"})
        terminal.expect(b"box  running")
        call("kill", "box").expect(0)
        terminal.expect(b"box has ended")
        assert terminal.wait() == 0, terminal.output
        assert terminal.settings() == terminal.before, "the terminal's settings are not restored"
        terminal.close()


def test_stats_against_limits():
    """`stats` has use in percent of processor and memory; it is refreshed on a terminal, and printed once elsewhere."""
    with sandbox():
        for args in ((), ("--once",), ("--no-stream",)):
            lines = call("stats", *args, "box").expect(0, None, b"").stdout.decode().splitlines()
            assert lines[0].startswith("box  running  up ") and "% of " in lines[0] and "%)  jobs 0" in lines[0], lines
            assert [line for line in lines if line.startswith("exits ")], lines
        counters = json.loads(call("stats", "--json", "box").expect(0, None, b"").stdout)
        assert counters["exits"] > 0 and counters["jobs"] == 0 and "memory" not in counters, counters
        lines = call("stats").expect(0, None, b"").stdout.decode().splitlines()
        assert "MEM%" in lines[0] and lines[1].startswith("box "), lines

        terminal = Terminal("stats", "--interval", "200ms", "box", rows=6, columns=40, env={"TERM": "xterm"})
        lines = screen(terminal, 40)
        assert len(lines) == 6 and lines[0].startswith(b"box  running") and lines[2].startswith(b"exits "), lines
        terminal.type(b"q")
        assert terminal.wait() == 0, terminal.output
        terminal.close()
        terminal = Terminal("stats", "--no-stream", "box", env={"TERM": "xterm"})
        assert terminal.wait() == 0 and b"\x1b" not in terminal.output and b"exits " in terminal.output, terminal.output
        terminal.close()
        call("logs", "--since", "1h", "box").expect_error("the console has no times", "--tail N")
        call("logs", "--tail", "1", "box").expect(0)


def test_top_without_a_sandbox():
    assert page().startswith(b"NAME ") and page().count(b"\n") == 1
    assert json.loads(call("top", "--json", "--once").expect(0).stdout) == {"sandboxes": []}
    call("top", "box").expect_error("box", "cordon ps")
    call("top", "--json", "box").expect_error("box")
    call("top", "one", "two").expect_error("unexpected argument")
    call("top", "--interval", "1ms").expect_error("100ms")
    call("top", "../box").expect_error("../box")
