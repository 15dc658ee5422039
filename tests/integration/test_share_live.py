# SPDX-License-Identifier: Apache-2.0
"""Shares that are added to a sandbox that runs, and taken back."""
import json
import os
import socket

import cordon
from cordon import call, limit, scratch, work, write
from sandboxes import ask, connect, execute, ps, sandbox
from test_share_files import top
from test_share_life import Guest

MISSING = b"cat: can't open '{}': No such file or directory\n"


def share(*arguments):
    return call("share", "box", *arguments)


def refused(text, *arguments):
    """One line, and nothing has changed."""
    before = ps()["box"]["shares"]
    result = share(*arguments).expect_error(text)
    assert result.stderr.count(b"\n") == 1, result.stderr
    assert ps()["box"]["shares"] == before


def logged(name="box"):
    return [(entry["event"], entry.get("object"), entry.get("detail", ""))
            for entry in map(json.loads, call("audit", name, "--json").expect(0).stdout.splitlines())
            if entry.get("event") in ("share", "unshare")]


@limit(600)
def test_share_live_comes_and_goes():
    """Added to a sandbox without shares, read and written under its rules, listed, logged, taken back."""
    write("top/file", "text\n")
    write("other/file", "other\n")
    with sandbox(), Guest() as guest:
        assert "No such file" in guest.do("cat /data/deep/file")
        share(f"{top()}:/data/deep").expect(0, b"", b"")
        assert guest.do("cat /data/deep/file; echo new >/data/deep/new; ls /data/deep") == "text\nfile\nnew\n"
        with open(work("top/new"), encoding="utf-8") as file:
            assert file.read() == "new\n"
        share(f"{work('other')}:/other:ro").expect(0, b"", b"")
        assert "Read-only file system" in guest.do("cat /other/file; echo x >/other/x")
        assert not os.path.exists(work("other/x"))
        assert ps()["box"]["shares"] == [
            {"guest": "/data/deep", "ro": False, "host": top()},
            {"guest": "/other", "ro": True, "host": work("other")}]
        # What is open there is gone when it is taken back; the other share goes on.
        assert guest.do("exec 3</data/deep/file 4</other/file; cd /data/deep") == ""
        call("unshare", "box", "/data/deep").expect(0, b"", b"")
        stale = guest.do("cat <&3; ls /data/deep; cd /; cat <&4; ls /other")
        assert "Stale file handle" in stale and stale.endswith("other\nfile\n"), stale
        assert [item["guest"] for item in ps()["box"]["shares"]] == ["/other"]
        call("unshare", "box", "/data/deep").expect_error("no share is at /data/deep")
        # Again, and in its place another one: no name of the first one is left.
        share(f"{work('other')}:/data/deep").expect(0)
        assert guest.do("cat /data/deep/file; ls /data/deep") == "other\nfile\n"
        events = logged()
        assert [event[:2] for event in events] == [
            ("share", "/data/deep"), ("share", "/other"), ("unshare", "/data/deep"), ("share", "/data/deep")], events
        assert top() in events[0][2] and f"by uid {os.getuid()}" in events[0][2], events


@limit(600)
def test_share_live_keeps_what_is_open():
    """Files that are open go on, removed ones and working directories too, while shares come and go."""
    write("top/file", "text\n")
    write("top/d/inner", "inner\n")
    write("other/file", "other\n")
    with sandbox("box", "--share", f"{top()}:/work"), Guest() as guest:
        assert guest.do("cd /work/d; exec 3<>/work/gone 4</work/file; rm /work/gone") == ""
        for _again in range(2):
            share(f"{work('other')}:/other").expect(0)
            assert guest.do("cat /other/file; cat inner; pwd") == "other\ninner\n/work/d\n"
            call("unshare", "box", "/other").expect(0)
        assert guest.do("echo more >&3; cat <&4") == "text\n"
        # A program that works on files all the while notices nothing.
        guest.do("cd /work; (while [ ! -e stop ]; do echo x >a && cat a >/dev/null && rm a || touch /work/failed; "
                 "done) & true")
        for _again in range(3):
            share(f"{work('other')}:/other").expect(0)
            call("unshare", "box", "/other").expect(0)
        assert guest.do("touch stop; wait; ls") == "d\nfile\nstop\n"


@limit(600)
def test_share_live_decides_as_every_other():
    """Rules of the policy come first; what --share refuses is refused, in one line; policy set keeps the share."""
    write("top/file", "text\n")
    write("top/secret/key", "key\n")
    os.symlink("/etc", work("top/link"))
    write("top/in/file", "in\n")
    policy = scratch("policy", b"policy 1\nfile hide /**/secret/**\nfile read /**/file\n")
    key = scratch("top/plain", b"")
    with sandbox("box", "--policy", policy, "--share", f"{top()}:/work"), Guest() as guest:
        refused("No such file", f"{work('missing')}:/data")
        refused("not a directory", f"{key}:/data")
        refused("pseudo file system", "/proc:/data")
        refused("it is the whole host", "/:/data")
        refused("the cache of templates", f"{os.environ['XDG_CACHE_HOME']}:/data", "--allow-home")
        refused("within the share", f"{top()}/link:/data")
        refused("another share is at /work already", f"{top()}:/work")
        refused("give HOST:GUEST", top())
        refused("unknown option 'foo'", f"{top()}:/data:foo")
        refused("absolute", f"{top()}:/data/../x")
        refused("a file or a symbolic link", f"{top()}:/bin/sh/data")
        call("share", "nobox", f"{top()}:/data").expect_error("no sandbox is called nobox")
        call("unshare", "box").expect_error("in which sandbox, which directory?")
        share(f"{top()}:/data").expect(0)
        assert guest.do("cat /data/file; ls /data/secret; echo x >/data/file; echo x >/data/new") == \
            "text\nls: /data/secret: No such file or directory\n" \
            "sh: can't create /data/file: Permission denied\n"
        # A share within a share; the outer one stays as long as the inner one.
        share(f"{work('top/in')}:/data/in").expect(0)
        call("unshare", "box", "/data").expect_error("the share /data/in lies within")
        call("policy", "set", "box", policy).expect(0)
        assert guest.do("cat /data/in/file") == "in\n"
        call("unshare", "box", "/data/in").expect(0)
        call("unshare", "box", "/data").expect(0)
        assert "No such file" in guest.do("ls /data/file; cat /work/file >/dev/null")


@limit(600)
def test_share_live_in_copies():
    """A fork has the share, a restored snapshot too if it is given again; a share of the policy stays."""
    write("top/file", "text\n")
    write("other/file", "other\n")
    policy = scratch("policy", f"policy 1\nshare {work('other')} /other\nfile write /other/**\n".encode())
    with sandbox("box", "--policy", policy), Guest() as guest:
        call("unshare", "box", "/other").expect_error("is a share of the policy")
        share(f"{top()}:/data").expect(0)
        assert guest.do("exec 3</data/file; cat /data/file /other/file") == "text\nother\n"
        call("fork", "box", "1").expect(0)
        execute("box-1", "cat", "/data/file", "/other/file").expect(0, b"text\nother\n")
        call("unshare", "box-1", "/data").expect(0)
        execute("box-1", "cat", "/data/file").expect(1)
        assert guest.do("cat /data/file") == "text\n"
        call("kill", "box-1").expect(0)
        call("snapshot", "box", work("snapshot")).expect(0)
        call("restore", "--policy", policy, "--share", f"{top()}:/data", work("snapshot"), "again").expect(0)
        execute("again", "cat", "/data/file", "/other/file").expect(0, b"text\nother\n")
        call("share", "again", f"{work('other')}:/more").expect(0)
        execute("again", "cat", "/more/file", "/data/file").expect(0, b"other\ntext\n")
        call("kill", "again").expect(0)


@limit(600)
def test_share_live_requests():
    """A client gains nothing by what it says: the directory is its descriptor's, others are refused."""
    write("top/file", "text\n")
    with sandbox(), connect() as client:
        reply = ask(client, op="share", guest="/data")
        assert not reply["ok"] and "one descriptor" in reply["error"], reply
        for descriptor, text in ((os.open(work("top/file"), os.O_PATH), "not one of a directory"),
                                 (os.open(top(), os.O_RDONLY), "with O_PATH"),
                                 (os.open("/proc", os.O_PATH), "pseudo file system")):
            request = {"op": "share", "id": 2, "guest": "/data", "host": top()}
            socket.send_fds(client, [json.dumps(request).encode()], [descriptor])
            reply = json.loads(client.recv(1 << 17))
            assert not reply["ok"] and text in reply["error"], reply
            os.close(descriptor)
        for body in ({"guest": "data"}, {"guest": "/data", "uid": 1 << 40}, {"guest": 5}, {"guest": "/" + 5000 * "x"},
                     {"guest": "/data", "host": None}, {"guest": "/data", "host": "top"},
                     {"guest": "/data", "host": [47, 0]}, {"guest": "/data", "host": "/" + 5000 * "x"}):
            descriptor = os.open(top(), os.O_PATH)
            socket.send_fds(client, [json.dumps({"op": "share", "id": 3, "host": top(), **body}).encode()],
                            [descriptor])
            assert not json.loads(client.recv(1 << 17))["ok"], body
            os.close(descriptor)
        assert not ask(client, op="unshare")["ok"]
        assert ps()["box"]["shares"] == []
        call("pause", "box").expect(0)
        share(f"{top()}:/data").expect_error("paused")
        call("resume", "box").expect(0)
        share(f"{top()}:/data").expect(0)
        execute("box", "cat", "/data/file").expect(0, b"text\n")
        # A link that the guest has made stays one when the share is gone, and what is saved does not follow it.
        os.makedirs(work("other"))
        execute("box", "ln", "-s", work("other"), "/data/away").expect(0)
        for _i in range(2):
            assert ask(client, op="policy")["writable"] == [top()]
            call("snapshot", "box", os.path.join(top(), "away/snap")).expect_error("away/snap", "symbolic link")
            call("unshare", "box", "/data")
        assert os.listdir(work("other")) == []


@limit(600)
def test_read_only_root():
    """--read-only: the root file system can't be written, nor be made writable; /tmp, /run, /dev and shares can."""
    write("top/file", "text\n")
    script = ("touch /new; touch /root/new; mount -o remount,rw / 2>/dev/null; mount -o remount,bind,rw / 2>/dev/null; "
              "touch /etc/new; for i in /tmp /run /dev/shm /work /mnt/deep; do touch $i/new || echo no $i; done; "
              "stat -c %a /tmp; ls /run/cordon; cat /work/file")
    result = cordon.run("sh", "-c", script, options=[
        "--read-only", "--share", f"{top()}:/work", "--share", f"{top()}:/mnt/deep"]).expect(0)
    assert result.stderr.count(b"Read-only file system") == 3, result.stderr
    assert b"no " not in result.stdout and result.stdout.startswith(b"1777\n"), result.stdout
    assert b"denials" in result.stdout and result.stdout.endswith(b"text\n"), result.stdout
    # Without it the same works.
    cordon.run("sh", "-c", "touch /new /root/new /etc/new").expect(0, b"", b"")
    with sandbox("box", "--read-only"):
        execute("box", "touch", "/new").expect(1)
        execute("box", "touch", "/tmp/new").expect(0)
        share(f"{top()}:/data/deep").expect(0)
        execute("box", "cat", "/data/deep/file").expect(0, b"text\n")
        call("fork", "box", "1").expect(0)
        execute("box-1", "touch", "/new").expect(1)
        execute("box-1", "touch", "/tmp/new2", "/data/deep/new").expect(0)
        call("kill", "box-1").expect(0)
