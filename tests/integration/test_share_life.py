# SPDX-License-Identifier: Apache-2.0
"""Shares while the host changes files, the policy is replaced, a bound is reached, a copy is made."""
import os
import re
import shutil
import time

import cordon
from cordon import call, limit, many, run, scratch, wait_until, work, write
from images import root_directory
from sandboxes import execute, executing, ps, sandbox
from test_share_files import programs, top


class Guest:
    """A shell in a sandbox that runs for several commands, so that what it has open stays so."""

    def __init__(self, name="box"):
        self.process = executing(name, "sh")
        self.number = 0

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.process.popen.stdin.close()
        self.process.wait()

    def do(self, script):
        """What the script prints, stderr included."""
        self.number += 1
        before = len(self.process.output["stdout"])
        mark = f"end {self.number}\n".encode()
        self.process.write(f"{{ {script}\n}} 2>&1; echo end {self.number}\n".encode())
        self.process.wait_output(mark)
        return bytes(self.process.output["stdout"][before:]).removesuffix(mark).decode()


def settle():
    """Wait until a file's times say that it was not changed just now."""
    time.sleep(0.1)


# --- what the host changes ----------------------------------------------------------------------------

@limit(600)
def test_share_life_strict():
    """The host's changes of names show on the next use of a path, and of data at the next open."""
    for name in ("kept", "grows", "goes", "moves"):
        write(f"top/{name}", f"{name} 1\n")
    write("top/d/x", "")
    settle()
    with sandbox("box", "--share", f"{top()}:/work"), Guest() as guest:
        look = "cd /work; cat kept grows; ls . d; stat -c '%a %s' kept; cat new; true"
        missing = "cat: can't open '{}': No such file or directory\n"
        first = "kept 1\ngrows 1\n.:\nd\ngoes\ngrows\nkept\nmoves\n\nd:\nx\n644 7\n" + missing.format("new")
        assert guest.do(look) == first and guest.do(look) == first
        assert guest.do("exec 3<kept 4<goes; read a <&3; echo $a") == "kept 1\n"
        # The same size, in place; longer; removed; renamed over; a name that was missing.
        with open(work("top/kept"), "r+", encoding="utf-8") as file:
            file.write("kept 2\n")
        with open(work("top/grows"), "a", encoding="utf-8") as file:
            file.write("grows 2\n")
        os.remove(work("top/goes"))
        os.rename(work("top/moves"), work("top/new"))
        os.chmod(work("top/kept"), 0o600)
        write("top/d/y", "")
        assert guest.do(look) == "kept 2\ngrows 1\ngrows 2\n.:\nd\ngrows\nkept\nnew\n\nd:\nx\ny\n600 7\nmoves 1\n"
        assert guest.do("cat <&4; cat goes") == "goes 1\n" + missing.format("goes")
        # A directory in a directory's place, while the shell is in it; and one that is gone.
        assert guest.do("cd d; ls") == "x\ny\n"
        os.rename(work("top/d"), work("top/e"))
        write("top/d/z", "")
        assert guest.do("cd /work/d; ls; ls ../e") == "z\nx\ny\n"
        shutil.rmtree(work("top/d"))
        assert "No such file" in guest.do("ls /work/d") and guest.do("cat /work/new") == "moves 1\n"
        # What the guest writes the host sees at once.
        assert guest.do("cd /work; exec 5>made; echo one >&5") == ""
        with open(work("top/made"), encoding="utf-8") as file:
            assert file.read() == "one\n"
            guest.do("echo two >&5; mkdir f; mv made f")
            assert file.read() == "two\n"
        assert os.listdir(work("top/f")) == ["made"]


@limit(600)
def test_share_life_of_caches():
    """cache=none requests each read, cache=loose no data again; the usual one is strict, of read-only shares loose."""
    for name in ("strict", "loose", "none", "ro", "usual"):
        write(f"{name}/file", "one1one2")
    settle()
    options = [word for name, more in (("strict", ""), ("loose", ":ro:cache=loose"), ("none", ":cache=none"),
                                       ("ro", ":ro:cache=strict"), ("usual", ":ro"))
               for word in ("--share", f"{work(name)}:/{name}{more}")]
    read = "dd bs=4 count=1 <&{} 2>/dev/null; "
    with sandbox("box", *options), Guest() as guest:
        everything = "cat /strict/file /loose/file /none/file /ro/file /usual/file; ls /ro | wc -l"
        assert guest.do(everything) == "one1one2" * 5 + "1\n"
        assert guest.do("exec 3</none/file 4</loose/file; " + read.format(3) + read.format(4)) == "one1one1"
        for name in ("strict", "loose", "none", "ro", "usual"):
            write(f"{name}/file", "two1two2")
            write(f"{name}/more", "")
        assert guest.do(read.format(3) + read.format(4)) == "two2one2"
        assert guest.do(everything) == "two1two2" + "one1one2" + "two1two2" * 2 + "one1one2" + "2\n"
    for value in ("loosely", ""):
        run("true", options=["--share", f"{work('ro')}:/w:cache={value}"]).expect_error("cache")
    run("true", options=["--share", f"{work('ro')}:/w:owner=guest"]).expect_error("owner")


@limit(600)
def test_share_life_of_access_times():
    """Where attributes are kept for a day, they show the time of access that reading has changed on the host all the same."""
    def accessed(name):
        return os.stat(work(f"loose/{name}")).st_atime_ns // 10**9

    os.mkdir(work("loose"))
    now = time.time()
    kept = now + 600            # after the last change, of which utime() is one
    set_to = {"changed": (now - 600, now - 300), "day_old": (now - 10**5, now - 2 * 10**5), "recent": (kept, now)}
    for name, times in set_to.items():
        write(f"loose/{name}", "one\n")
        os.utime(work(f"loose/{name}"), times)
    times = "cd /loose && stat -c %X " + " ".join(set_to)
    with sandbox("box", "--share", f"{work('loose')}:/loose:cache=loose"), Guest() as guest:
        before = guest.do(times).split()
        assert before == [str(accessed(name)) for name in set_to]
        assert guest.do("cat " + " ".join(set_to)) == "one\n" * 3
        assert guest.do(times).split() == [str(accessed(name)) for name in set_to]
        if accessed("changed") != int(before[0]):       # the directory is mounted with relatime, and not with noatime
            assert accessed("day_old") >= int(now) and accessed("recent") == int(kept)


# --- policy set ---------------------------------------------------------------------------------------

RULES = """policy 1
share {top} /work
file {verdict} /work/held
file {listed} /work/held-d/secret
file write /work/**
file read /programs/**
"""


def rules(verdict, listed="write"):
    return write("policy", RULES.format(top=top(), verdict=verdict, listed=listed))


@limit(900)
def test_share_life_under_another_policy():
    """What is open is used under the rules that are there now; and what was removed only if it has no other name."""
    def results():
        process.write(b"\n")
        wait_until(lambda: process.output["stdout"].count(b"\n") > lines[0] or process.poll() is not None, "results")
        lines[0] += 1
        text = process.output["stdout"].decode().splitlines()[lines[0] - 1]
        return dict(word.split(":", 1) for word in text.split())

    def check(refused, others):
        """Under the policy that was set just now. What the guest's kernel has cached it drops a moment later."""
        def right():
            got.clear()
            got.update(results())
            return {key for key in got if got[key] == "EACCES"} == refused and others.items() <= got.items()
        got = {}
        wait_until(right, "the new rules", 30)

    with sandbox("box", "--policy", rules("write"), *programs()):
        process, lines = executing("box", "/programs/files", "/work", "held"), [1]
        process.wait_output(b"ready\n")
        good = results()
        assert set(good.values()) == {"ok", "ok4"} and len(good) == 12, good
        # What was linked to another name and removed is not used under any new policy.
        linked, changes = {"linked", "linked-write"}, {"write", "size", "hole", "mode"}
        kept = {"gone": "ok", "late": "ok"}
        for verdict, listed, refused, count in (
                ("read", "hide", changes, "ok3"), ("deny", "hide", changes | {"read", "lock", "open"}, "ok3"),
                ("append", "write", changes, "ok4"), ("write", "write", set(), "ok4")):
            call("policy", "set", "box", rules(verdict, listed)).expect(0)
            check(refused | linked, kept | {"list": count})
        process.popen.stdin.close()
        assert process.wait().stdout.endswith(b"\nok\n")


@limit(600)
def test_share_life_names_under_another_policy():
    """The next lookup, listing, opening and creation goes by the new rules, whatever the guest has cached."""
    text = "policy 1\nshare {} /work {}\nfile {} /work/a\nfile {} /work/d/**\nfile {} /work/**\n"
    write("top/a", "a\n")
    write("top/d/x", "x\n")
    settle()
    for access, last in (("", "write"), ("ro", "read")):
        def policy(*verdicts):
            return write("policy", text.format(top(), access, *verdicts, last))
        with sandbox("box", "--policy", policy("read", "read")), Guest() as guest:
            look = "cd /work; cat a d/x; ls . d; [ -e a ] && echo there"
            full = "a\nx\n.:\na\nd\n\nd:\nx\nthere\n"
            assert guest.do(look) == full and guest.do(look) == full
            call("policy", "set", "box", policy("hide", "deny")).expect(0)
            # The guest's kernel drops what it has cached a moment later.
            wait_until(lambda: "there" not in guest.do("[ -e /work/a ] && echo there"), "the new rules")
            got = guest.do(look)
            assert "No such file" in got and "denied" in got and "\na\n" not in got and "x\n." not in got, got
            call("policy", "set", "box", policy("read", "read")).expect(0)
            wait_until(lambda: guest.do(look) == full, "the old rules")


# --- bounds -------------------------------------------------------------------------------------------

def bounded(text):
    return scratch("policy", f"policy 1\nshare {top()} /work\nlimit {text}\nfile write /work/**\n".encode())


@limit(900)
def test_share_life_disk_bound():
    """`limit share-disk` bounds what a sandbox makes in its shares; what it removes, it may use again."""
    write("top/of-the-host", "x" * (3 << 20))
    with sandbox("box", "--policy", bounded("share-disk=2M")), Guest() as guest:
        dd = "dd if=/dev/zero bs=64k count={} of={} 2>&1 | grep -o 'No space left on device'; wc -c <{}"
        guest.do("cd /work")
        assert guest.do(dd.format(16, "a", "a")) == f"{1 << 20}\n"
        full = guest.do(dd.format(32, "b", "b"))
        assert full.startswith("No space left on device\n") and 0 < int(full.split()[-1]) <= 1 << 20, full
        for more in ("fallocate -l 2M c", "echo 123456 >d", "cp a e", "truncate -s 2M d"):
            assert "No space" in guest.do(more), more
        # Bytes that are there already may be written again; removing, and truncating, gives space back.
        assert guest.do("dd if=/dev/zero bs=64k count=4 of=a conv=notrunc 2>/dev/null && echo again") == "again\n"
        assert guest.do("rm b c d e; " + dd.format(8, "b", "b")) == f"{8 << 16}\n"
        assert guest.do(": >a; " + dd.format(8, "f", "f")) == f"{8 << 16}\n"
        free = [int(line.split()[3]) for line in guest.do("df -k /work").splitlines() if line.endswith("/work")]
        assert len(free) == 1 and free[0] == 1024, free
    # Without it, as much as the host has; its twin.
    run("sh", "-c", "cd /work; dd if=/dev/zero bs=64k count=48 of=b 2>/dev/null && wc -c <b",
        options=["--share", f"{top()}:/work"]).expect(0, b"%d\n" % (48 << 16), b"")


@limit(900)
def test_share_life_files_bound():
    """`limit share-files` bounds how many names a sandbox makes; those of the host do not count."""
    for number in range(20):
        write(f"top/host/{number}", "")
    with sandbox("box", "--policy", bounded("share-files=12")), Guest() as guest:
        count = "ls | grep -vc host"
        for make, remove in (("mkdir $i", "rmdir"), (": >$i", "rm"), ("ln -s x $i", "rm"), ("mkfifo $i", "rm")):
            got = guest.do(f"cd /work; for i in $(seq 20); do ({make}) || break; done; {count}")
            assert "No space" in got or "quota" in got.lower(), got
            assert got.splitlines()[-1] == "12", got
            assert guest.do(f"{remove} [1-9]*; {count}") == "0\n"
        reused = "for i in $(seq 12); do : >$i || break; done; rm 5; mv 6 5; : >6; " + count
        assert guest.do(reused) == "12\n"
        assert "No space" in guest.do("ln 6 hard; :")
    assert len(os.listdir(work("top/host"))) == 20


# --- snapshots and forks ------------------------------------------------------------------------------

def begun(name="box"):
    """Start what goes on later. Its files are open, its locks held or waited for, its pages dirty."""
    execute(name, "sh", "-c", "mkfifo /tmp/in; (/programs/files /work goes-on </tmp/in >/tmp/out 2>&1 &); "
                              "(sleep 1000000 >/tmp/in &); until grep -q . /tmp/out; do sleep 1; done").expect(0)
    wait_until(lambda: b"ready" in execute(name, "cat", "/tmp/out").stdout, "the check to begin")


def ended(name):
    """Let it go on, and wait for its end."""
    execute(name, "sh", "-c", "echo >/tmp/in").expect(0)
    wait_until(lambda: re.search(rb"\n(ok|.*:\d+:.*)\n$", execute(name, "cat", "/tmp/out").stdout), "the end", 60)
    return execute(name, "cat", "/tmp/out").expect(0).stdout.decode().splitlines()


@limit(900)
def test_share_life_snapshot():
    """Open files, locks, a lock that is waited for, a FIFO and dirty pages go through a snapshot."""
    with sandbox("box", "--share", f"{top()}:/work", *programs()):
        begun()
        call("snapshot", "box", work("snap")).expect(0, b"", b"")
        # Pages that a program has changed in a map are written first.
        with open(work("top/goes-on-map"), "rb") as file:
            assert file.read(8192) == b"dirty".ljust(4096, b"\0") + b"page".ljust(4096, b"\0")
    assert os.path.exists(work("top/goes-on"))
    try:
        call("restore", "--share", f"{top()}:/work", "--share", f"{work('programs')}:/programs:ro", work("snap"),
             "again").expect(0, b"", b"")
        lines = ended("again")
        # A removed file can't be opened again by its name.
        assert lines[0] == "goes-on ready" and lines[2:] == ["ok"] and lines[1] in ("gone lives", "Stale file handle",
                                                                                  "Stale NFS file handle"), lines
    finally:
        call("kill", "again")
    with open(work("top/goes-on-map"), "rb") as file:
        assert file.read(6) == b"later\0"


@limit(900)
def test_share_life_forks():
    """Copies have the same directory and go on one after the other; a lock is the parent's until it is given back."""
    with sandbox("box", "--share", f"{top()}:/work", *programs()):
        begun()
        call("fork", "box", str(many(1, 3))).expect(0)
        names = sorted(ps())
        assert names[0] == "box" and len(names) == many(2, 4), names
        try:
            for name in names:
                lines = ended(name)
                assert lines[0] == "goes-on ready" and lines[2:] == ["ok"], (name, lines)
                execute(name, "sh", "-c", f"echo {name} >/work/made-{name}; cat /work/made-*").expect(
                    0, "".join(f"{done}\n" for done in names[:names.index(name) + 1]).encode(), b"")
                assert cordon.alive(ps()["box"]["pid"])
        finally:
            for name in names[1:]:
                call("kill", name)


@limit(600)
def test_share_life_template():
    """A template has nothing of the shares and the root of the sandbox that it was made of."""
    own = ["--cmdline-append", "cordon.shares"]       # so that the template is a new one
    with sandbox("first", *own, "--rootfs", root_directory(), "--share", f"{top()}:/work"):
        execute("first", "cat", "/etc/file").expect(0, b"as it was\n", b"")
    write("other/file", "other\n")
    with sandbox("box", *own):
        call("snapshot", "box", work("snap")).expect(0)
        call("fork", "box", "1").expect(0, b"box-1\n", b"")
        call("kill", "box-1").expect(0)
    with open(work("snap"), "rb") as file:
        state = file.read(1 << 16)
    assert work("top").encode() not in state and work("root").encode() not in state
    try:
        call("restore", "--share", f"{work('other')}:/work", work("snap"), "again").expect(0, b"", b"")
        execute("again", "cat", "/work/file").expect(0, b"other\n", b"")
    finally:
        call("kill", "again")
    run("cat", "/work/file", options=[*own, "--share", f"{work('other')}:/work"]).expect(0, b"other\n", b"")
