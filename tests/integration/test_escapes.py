# SPDX-License-Identifier: Apache-2.0
"""Nothing that a guest names or prints controls the operator's terminal, whichever verb shows it."""
import json
import os
import unicodedata

from cordon import Terminal, call, limit, wait_until
from sandboxes import execute, sandbox
from test_policy import policy, work

EVIL = [b"esc\x1b[2J\x1b]0;title\x07", b"c1byte\x9b2J", b"c1\xc2\x9b2J", b"bidi\xe2\x80\xaegpj.exe", b"isolate\xe2\x81\xa6x",
        b"line\xe2\x80\xa8forged", b"nl\n9 2026 allow file read forged", b"del\x7f", b"cr\rover", b"zero\xe2\x80\x8bwidth"]
PLAIN = "gr\u00fcn-\u65e5\u672c".encode()


def make_files():
    top = work("top").encode()
    os.makedirs(top)
    for name in [*EVIL, PLAIN]:
        with open(os.path.join(top, name), "wb") as file:
            file.write(b"x\n")


def is_harmless(output, extra=""):
    """Assert that the output has only printable characters, tabs and line ends, apart from those in `extra`."""
    for c in output.decode("utf-8"):
        assert c in "\r\n\t" + extra or unicodedata.category(c) not in ("Cc", "Cf", "Zl", "Zp", "Cs"), (hex(ord(c)), output)


def on_terminal(*args, status=0):
    terminal = Terminal(*args)
    try:
        assert terminal.wait() == status, (args, terminal.popen.returncode, terminal.output)
        is_harmless(terminal.output)
        return terminal.output
    finally:
        terminal.close()


@limit(600)
def test_escapes_in_names_and_output():
    """A sandbox with escape sequences in file names, commands and output: all verbs, on a terminal and not."""
    make_files()
    rules = policy(f"share {work('top')} /w\nfile read /w/gr* /w\nfile deny /w/**\n", "p")
    open_rules = policy(f"share {work('top')} /w\nfile write /w/**\n", "open")
    evil = EVIL[0].decode()
    with sandbox("box", "--policy", rules):
        # Byte for byte, as docs/threat-model.md says: a command's output is its own.
        listed = execute("box", "sh", "-c", "cat /w/*; printf '%s\\0' /w/*").stdout
        assert listed.startswith(b"x\n") and set(listed[2:].split(b"\0")[:-1]) == {b"/w/" + n for n in [*EVIL, PLAIN]}, listed
        job = execute("box", "sh", "-c", "for f in /w/*; do echo \"$f\"; done; cat /w/*", options=["-d"]).stdout.strip().decode()

        shown = on_terminal("audit", "box")
        for text in (b"/w/esc\\x1b[2J\\x1b]0;title\\x07", b"\\u009b2J", b"bidi\\u202egpj", b"isolate\\u2066", b"line\\u2028forged",
                     b"nl\\x0a9 2026", b"del\\x7f", b"cr\\x0dover", b"\\u200b", PLAIN):
            assert text in shown, (text, shown)
        is_harmless(call("audit", "box").expect(0).stdout)
        # On a terminal the same JSON with escapes; elsewhere the lines are as in the log.
        lines = [json.loads(line) for line in on_terminal("audit", "box", "--json").splitlines()]
        log = call("audit", "box", "--json").expect(0).stdout
        assert lines == [json.loads(line) for line in log.splitlines()], lines
        assert EVIL[3] in log and PLAIN in log, log
        denied = [entry["seq"] for entry in lines if entry.get("verdict") == "deny"]
        assert denied, lines
        for seq in denied:
            is_harmless(call("why", "box", str(seq)).expect(0).stdout)
        assert b"\\u" in on_terminal("why", "box") or b"\\x" in on_terminal("why", "box")
        learned = call("policy", "learn", "box").expect(0).stdout
        is_harmless(learned)
        assert b"file read /w/" + PLAIN in learned and b"left out" in learned and b"forged" not in learned, learned
        on_terminal("policy", "learn", "box")
        replayed = on_terminal("policy", "replay", "box", open_rules, status=1)
        assert b"bidi\\u202egpj.exe: deny -> allow" in replayed, replayed
        is_harmless(call("policy", "replay", "box", open_rules).expect(1).stdout)

        wait_until(lambda: b"zero" in call("logs", "box", job).stdout, "the output of a job")
        printed = on_terminal("logs", "box", job)
        assert b"bidi\\u202egpj.exe" in printed and b"c1byte\\x9b2J" in printed and PLAIN in printed, printed
        assert EVIL[0] in call("logs", "box", job).expect(0).stdout
        for verb in (["logs", "box"], ["ps"], ["ps", "--json"], ["stats", "--once", "box"], ["stats", "--json", "box"], ["policy", "show", "box"]):
            on_terminal(*verb)
        # Messages that quote an argument or what the guest says.
        for verb, status in ((["exec", "box", "--", evil], 127), (["cp", f"box:/w/{evil}", work("to")], 125), (["why", evil], 125), (["stats", evil], 125),
                             (["policy", "explain", rules, "file", "/w/" + EVIL[3].decode()], 0), (["policy", "check", evil], 125)):
            on_terminal(*verb, status=status)
