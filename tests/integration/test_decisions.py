# SPDX-License-Identifier: Apache-2.0
"""Decisions by a person on a running sandbox: rules added and taken back."""
import json
import os
import socket

from cordon import Process, call, limit
from sandboxes import ask, connect, execute, sandbox


def work(name=""):
    return os.path.join(os.environ["CORDON_TEST_BASE"], "work", name)


def write(name, text):
    os.makedirs(os.path.dirname(work(name)), exist_ok=True)
    with open(work(name), "w", encoding="utf-8") as file:
        file.write(text)
    return work(name)


def shared(rules, name="p"):
    """A policy that shares a directory with a, b and secret/key in it."""
    for file in ("a", "b", "secret/key"):
        write("top/" + file, file + "\n")
    return write(name, f"policy 1\nshare {work('top')} /w\n{rules}")


def show(name="box"):
    return call("policy", "show", name).expect(0).stdout.decode()


@limit(600)
def test_rules_are_added_and_taken_back():
    """policy add and undo: at once in force, named by show, why and the log; what is refused changes nothing."""
    p = shared("file hide /w/secret\nfile read /w/a\nfile write /w/b\n")
    with sandbox("box", "--policy", p):
        text = show()
        call("policy", "undo", "box").expect_error("no line has been added")
        assert execute("box", "sh", "-c", "echo x > /w/a").status != 0
        call("policy", "add", "box", "file write /w/a").expect(0, b"added:2: file write /w/a\n", b"")
        execute("box", "sh", "-c", "echo x > /w/a").expect(0)
        # The words of a rule are joined.
        call("policy", "add", "box", "file", "deny", "/w/b").expect(0, b"added:3: file deny /w/b\n", b"")
        assert execute("box", "cat", "/w/b").status != 0
        assert show() == f"# --- added\npolicy 1\nfile write /w/a\nfile deny /w/b\n# --- {p}\n" + text
        assert "rule: added:3: file deny /w/b" in call("why", "box").expect(0).stdout.decode()
        lines = [json.loads(line) for line in call("audit", "--json", "box").expect(0).stdout.splitlines()]
        assert {"added:2", "added:3"} <= {line.get("rule") for line in lines}, lines
        before = show()
        for line, *words in (("file wrte /w/b", "added:4:6: unknown verdict"), ("share /tmp /x", "can't be added"),
                             ("limit memory=64M", "can't be added"), ("", "a rule is needed"),
                             ("file read /w/secret/key", "stays hidden by", f"{p}:3"),
                             ("file read /w/b", "never decides", "added:3"), ("file read /w/\x1b[1m", "0x1b"),
                             ("file read /w/b\nshare /tmp /x", "one line"), ("file read /x/**", "covers no share")):
            call("policy", "add", "box", line).expect_error(*words)
        call("policy", "add", "box").expect_error("a name and a rule")
        assert show() == before
        # What a rule would have changed: only what it decides, and not differently from now.
        dry = call("policy", "add", "--dry-run", "box", "file hide /w/a").expect(0, stderr=b"").stdout.decode()
        assert dry.startswith("file hide /w/a\n  broader: file hide /w/*\n  broader: file hide /w/**\n"), dry
        call("policy", "undo", "box").expect(0, b"taken back: file deny /w/b\n", b"")
        dry = call("policy", "add", "--dry-run", "box", "file read /w/secret/**").expect(0).stdout.decode()
        assert "\n  narrower: file read /w/secret/*\n0 of " in dry, dry
        dry = json.loads(call("policy", "add", "--dry-run", "--json", "box", "file deny /w/b").expect(0).stdout)
        assert dry["different"] == 0 and dry["line"] == "file deny /w/b" and dry["narrower"] == [], dry
        execute("box", "cat", "/w/b").expect(0)
        dry = json.loads(call("policy", "add", "--dry-run", "--json", "box", "file deny /w/b").expect(0).stdout)
        assert dry["different"] == 1 <= dry["decisions"] and dry["unknown"] == 0, dry
        assert {**dry["changes"][0], "seq": 0} == {"seq": 0, "class": "file", "op": "read", "object": "/w/b",
                                                   "verdict": "allow", "would_be": "deny", "rule": "added:3"}, dry
        call("policy", "add", "--dry-run", "box", "file wrte /w/b").expect_error("unknown verdict")
        assert show().count("\nfile deny") == 0
        call("policy", "undo", "box").expect(0, b"taken back: file write /w/a\n", b"")
        assert execute("box", "sh", "-c", "echo x > /w/a").status != 0
        assert show() == text
    call("policy", "add", "box", "file read /w/a").expect_error("box")


@limit(600)
def test_operators_who_change_a_policy_at_once():
    """No line is lost when many add at once; a policy made from an older one is refused."""
    p = shared("file write /w/**\n")
    with sandbox("box", "--policy", p):
        adds = [Process("policy", "add", "box", f"net allow tls n{number}.test:443") for number in range(8)]
        for add in adds:
            add.wait().expect(0)
        lines = [line for line in show().splitlines() if line.startswith("net allow")]
        assert sorted(lines) == [f"net allow tls n{number}.test:443" for number in range(8)], lines
        with connect() as client:
            client.send(json.dumps({"op": "policy", "id": 1}).encode())
            body, fds, _flags, _address = socket.recv_fds(client, 1 << 18, 1)
            old = json.loads(body)
            call("policy", "undo", "box").expect(0)
            before = show()

            def replace(**more):
                request = {"op": "policy-set", "id": 2, **{key: old[key] for key in ("name", "folder", "cwd", "parts")}}
                socket.send_fds(client, [json.dumps({**request, **more}).encode()], fds[:1])
                return json.loads(client.recv(1 << 18))
            reply = replace(unless_changed=old["version"])
            assert not reply["ok"] and reply["changed"] and "meanwhile" in reply["error"], reply
            assert not replace(unless_changed="x")["ok"]
            assert show() == before
            now = ask(client, op="policy", id=3)["version"]
            assert now == old["version"] + 1, (now, old)
            assert replace(unless_changed=now) == {"id": 2, "ok": True}
            assert show().count("net allow") == 8
            # Without the field it is replaced in any case.
            assert replace()["ok"]
            os.close(fds[0])
        # policy set is a policy of its own: nothing that was added stays.
        call("policy", "set", "box", p).expect(0)
        assert show().count("net allow") == 0 and "added" not in show()
