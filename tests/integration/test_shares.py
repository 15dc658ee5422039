# SPDX-License-Identifier: Apache-2.0
"""Shares: directories of the host in the guest, under rules, through templates, snapshots and forks."""
import os
import shutil
import stat

import cordon
from cordon import call, limit, many, run, scratch, work
from sandboxes import execute, ps, sandbox


def make_directory(name, **files):
    """A directory with files in it; "_" in their names stands for "/", "DOT" for "."."""
    for file, text in files.items():
        path = os.path.join(work(name), file.replace("_", "/").replace("DOT", "."))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
    os.makedirs(work(name), exist_ok=True)
    return work(name)


def read(*path):
    with open(os.path.join(work(), *path), encoding="utf-8") as file:
        return file.read()


def touch(*operations, options=(), warnings=()):
    """Do operations (programs/touch.c) in one process of a sandbox; return the result of each. The program
    comes from a share, too: a read-only and so a cached one. stderr has one warning for each of `warnings`,
    with that text in it."""
    os.makedirs(work("program"), exist_ok=True)
    shutil.copy(cordon.program("touch"), work("program"))
    result = run("/program/touch", *operations,
                 options=["--share", f"{work('program')}:/program:ro", *options]).expect(0)
    told = result.stderr.decode().splitlines()
    assert len(told) == len(warnings), result
    for line, text in zip(told, warnings):
        assert line.startswith("cordon: warning: ") and text in line, result
    lines = result.stdout.decode().splitlines()
    assert len(lines) == len(operations), result
    return dict(zip(operations, lines))


def check(expected, options, warnings=()):
    """Each operation has the result that stands beside it."""
    got = touch(*expected, options=options, warnings=warnings)
    wrong = {key: (got[key], value) for key, value in expected.items() if got[key] != value}
    assert not wrong, f"operation: (result, expected): {wrong}"


# --- what a share is --------------------------------------------------------------------------------

@limit(600)
def test_share_read_and_write():
    """Files go both ways, owned by sandbox root; modes, links and names survive."""
    top = make_directory("top", a="from the host\n", d_e="deep\n")
    os.chmod(os.path.join(top, "a"), 0o640)
    check({"cat:/work/a": "from the host;", "cat:/work/d/e": "deep;", "stat:/work/a": "100640 0 0",
           "create:/work/n": "", "create:/work/n ": "", "mkdir:/work/x": "", "chmod:/work/n": "",
           "symlink:../a:/work/x/s": "", "link:/work/x/s": "../a", "cat:/work/x/s": "from the host;",
           "ln:/work/n:/work/hard": "", "mv:/work/n:/work/x/moved": "", "rm:/work/d/e": "",
           "rmdir:/work/d": "", "create:/work/odd\tname": "", "ls:/work": "a hard n  odd\tname x",
           "write:/work/a": "", "append:/work/a": ""}, ["--share", f"{top}:/work"])
    assert read("top", "hard") == read("top", "x", "moved") == "created\n"
    assert os.readlink(os.path.join(top, "x", "s")) == "../a"
    assert stat.S_IMODE(os.stat(os.path.join(top, "hard")).st_mode) == 0o777
    assert not os.path.exists(os.path.join(top, "d"))
    assert read("top", "a") == "written\nappended\n"


@limit(600)
def test_share_read_only():
    """:ro holds, even if the guest mounts it again; the twin without it writes."""
    top = make_directory("top", a="as it was\n")
    changes = ["write:/work/a", "append:/work/a", "create:/work/b", "rm:/work/a", "mkdir:/work/c",
               "mv:/work/a:/work/d", "ln:/work/a:/work/d", "chmod:/work/a"]
    check({"cat:/work/a": "as it was;"} | dict.fromkeys(changes, "EROFS"),
          ["--share", f"{top}:/work:ro"])
    assert read("top", "a") == "as it was\n" and os.listdir(top) == ["a"]
    result = run("sh", "-c", "mount -o remount,rw /work; echo x > /work/a",
                 options=["--share", f"{top}:/work:ro"])
    assert b"Read-only file system" in result.stderr and read("top", "a") == "as it was\n", result
    check({"write:/work/a": "", "create:/work/b": "", "chmod:/work/a": ""},
          ["--share", f"{top}:/work"])
    assert read("top", "a") == "written\n"


def test_share_owner():
    """uid= and gid= say which owner the host's user appears as, and that user may write."""
    top = make_directory("top", a="x\n")
    check({"stat:/work/a": "100644 1000 1001", "create:/work/b": "", "stat:/work/b": "100644 1000 1000"},
          ["--share", f"{top}:/work:uid=1000:gid=1001", "--user", "user"])
    check({"create:/work/c": "", "stat:/work/c": "100644 1000 1001"},
          ["--share", f"{top}:/work:uid=1000:gid=1001:owner=host", "--user", "user"])
    assert read("top", "b") == "created\n" and os.stat(os.path.join(top, "b")).st_uid == os.geteuid()


def test_several_shares():
    """Several shares, each at its place, one of them within another; their directories are made."""
    one, two, three = make_directory("one", a="1\n"), make_directory("two", b="2\n"), make_directory("three", c="3\n")
    check({"cat:/data/new/one/a": "1;", "cat:/two/b": "2;", "cat:/data/new/one/in/c": "3;",
           "ls:/data/new": "one", "create:/two/d": ""},
          ["--share", f"{three}:/data/new/one/in", "--share", f"{one}:/data/new/one",
           "--share", f"{two}:/two"])
    assert read("two", "d") == "created\n"


@limit(900)
def test_as_many_shares_as_a_policy_may_have():
    """A policy may have 64 shares, and no more."""
    # Each mount takes a second where ring 0 is emulated, so there it is some more than half of them.
    top = make_directory("top", a="x")
    share = [word for number in range(65) for word in ("--share", f"{top}:/s/{number}")]
    run("true", options=share).expect_error("more than 64 shares")
    count = 64 if cordon.HARDWARE else many(34, 64)
    run("sh", "-c", "cat /s/*/a | wc -c", options=share[:2 * count]).expect(0, b"%d\n" % count, b"")


def test_bad_shares():
    """A bad share is refused in one line, before anything starts."""
    top = make_directory("top", a="x")
    plain = scratch("plain")
    for value, words in (("nothing:/w", ["nothing"]), (f"{top}:w", [top]), (f"{top}:/w:rx", ["rx"]),
                         (f"{top}:/a/../b", ["/a/../b"]), (f"{plain}:/w", [plain]),
                         ("/proc:/w", ["/proc", "pseudo file system"]), (f"{top}:/", ["/ cannot be the mount point"]),
                         (f"{top}:/w:uid=x", ["'x'"])):
        run("true", options=["--share", value]).expect_error(*words)
    # An obstacle in the guest is found there.
    run("true", options=["--share", f"{top}:/etc/passwd"]).expect_error("/etc/passwd", "in its way",
                                                                        lines=None)
    run("cat", "/etc/share/a", options=["--share", f"{top}:/etc/share"]).expect(0, b"x", b"")


def test_links_that_a_guest_may_have_made():
    """A path through a link in a writable share is refused: the guest may have chosen what would be shared."""
    top, other = make_directory("top", a="x"), make_directory("other", b="y")
    os.mkdir(os.path.join(top, "real"))
    os.symlink(other, os.path.join(top, "planted"))
    os.symlink(top, os.path.join(os.path.dirname(top), "users-own"))
    work = ["--share", f"{top}:/work"]
    for more in (["--share", f"{top}/planted:/in"], ["--share", f"{top}/real/../planted:/in"],
                 ["--share", f"{os.path.dirname(top)}/users-own/planted:/in"], ["--rootfs", f"{top}/planted"],
                 ["--policy", scratch("links", f"policy 1\nshare {top}/planted /in\nfile read /in/**\n".encode())]):
        run("true", options=work + more).expect_error("planted", "symbolic link")
        run("true", options=more + work).expect_error("planted", "symbolic link")
    run("true", options=work + ["--vsock", f"{top}/socket"]).expect_error("vsock socket", "within the share")
    # Links that no guest has made: in a read-only share, and the user's own outside; and a real directory.
    run("ls", "/in", "/real", options=[
        "--share", f"{top}:/work:ro", "--share", f"{top}/planted:/in", "--share", f"{top}/real:/real"]).expect(
            0, b"/in:\nb\n\n/real:\n", b"")
    run("ls", "/work", "/real", options=[
        "--share", f"{os.path.dirname(top)}/users-own:/work", "--share", f"{top}/real:/real"]).expect(
            0, b"/real:\n\n/work:\na\nplanted\nreal\n", b"")


# --- rules ------------------------------------------------------------------------------------------

RULES = """policy 1
share {top} /work
file hide   /work/**/.env
file deny   /work/secret/**
file read   /work/.git/hooks/**
file append /work/log
file write  /work/**
file read   /program/**
"""


GIT_IS_OPEN = ("the guest can change .git",)     # RULES protect only the hooks


def under_rules(**files):
    top = make_directory("top", DOTenv="HIDDEN\n", sub_DOTenv="HIDDEN\n", secret_key="DENIED\n",
                 DOTgit_hooks_run="hook\n", log="first\n", plain="plain\n", **files)
    return top, scratch("policy", RULES.format(top=top).encode())


@limit(600)
def test_share_under_rules():
    """hide, deny, read and append rules: what they stop, and what they leave."""
    _top, policy = under_rules()
    check({"ls:/work": ".git log plain secret sub", "ls:/work/sub": "",
           "cat:/work/.env": "ENOENT", "cat:/work/sub/.env": "ENOENT", "create:/work/.env": "EACCES",
           "mkdir:/work/sub/.env": "EACCES", "rm:/work/.env": "ENOENT",
           "mv:/work/plain:/work/.env": "EACCES", "ln:/work/plain:/work/sub/.env": "EACCES",
           "cat:/work/secret/key": "EACCES", "mv:/work/secret/key:/work/stolen": "EACCES",
           "ln:/work/secret/key:/work/stolen": "EACCES",
           "symlink:/work/secret/key:/work/link": "", "cat:/work/link": "EACCES",
           "cat:/work/./secret//key": "EACCES", "cat:/work/sub/../secret/key": "EACCES",
           "cat:/work/.git/hooks/run": "hook;", "write:/work/.git/hooks/run": "EACCES",
           "create:/work/.git/hooks/new": "EACCES", "mv:/work/.git/hooks/run:/work/x": "EACCES",
           "mv:/work/plain:/work/.git/hooks/run": "EACCES", "rm:/work/.git/hooks/run": "EACCES",
           "chmod:/work/.git/hooks/run": "EACCES",
           "append:/work/log": "", "write:/work/log": "EACCES", "rm:/work/log": "EACCES",
           "cat:/work/log": "first;appended;", "write:/work/plain": "", "mkdir:/work/new": ""},
          ["--policy", policy], GIT_IS_OPEN)
    assert read("top", ".env") == read("top", "sub", ".env") == "HIDDEN\n"
    assert read("top", "secret", "key") == "DENIED\n" and not os.path.exists(work("top/stolen"))
    assert read("top", ".git", "hooks", "run") == "hook\n" and os.listdir(work("top/.git/hooks")) == ["run"]
    assert read("top", "log") == "first\nappended\n" and read("top", "plain") == "written\n"


def test_protected_directory_stays_in_its_place():
    """.git can't be moved so that its hooks lose their rule; another directory can be moved."""
    _top, policy = under_rules(other_hooks_run="evil\n")
    check({"mv:/work/.git:/work/git": "EXDEV", "mv:/work/other:/work/.git/hooks": "EACCES",
           "rm:/work/.git/hooks/run": "EACCES", "mv:/work/other:/work/moved": "",
           "cat:/work/moved/hooks/run": "evil;", "mv:/work/sub:/work/sub2": "",
           "cat:/work/sub2/.env": "ENOENT"}, ["--policy", policy], GIT_IS_OPEN)
    assert read("top", ".git", "hooks", "run") == "hook\n" and read("top", "sub2", ".env") == "HIDDEN\n"


@limit(600)
def test_a_project_is_worked_on():
    """What version control and builds do works: lock files, renames over, links, locks, maps, unlinked files."""
    top = make_directory("top")
    check({"project:/work": "done"}, ["--share", f"{top}:/work"],
          ["its index names files in .git, which git would write, or is damaged", "its .git has appeared"])
    assert sorted(os.listdir(top)) == [".git", "build.old"]
    assert len(os.listdir(work("top/.git/objects"))) == 4 and read("top", ".git", "log") == "one\ntwo\n"


def test_audit_lists_what_was_touched():
    """Opens, denials and changes are in the log, with the guest's paths."""
    _top, policy = under_rules()
    log = work("audit.log")
    check({"cat:/work/plain": "plain;", "cat:/work/secret/key": "EACCES", "create:/work/made": "",
           "rm:/work/made": ""}, ["--policy", policy, "--audit", log], GIT_IS_OPEN)
    text = read("audit.log") + read("audit.log.denials")
    for what in ("/work/plain", "/work/secret/key", "/work/made", '"deny"'):
        assert what in text, text


# --- life -------------------------------------------------------------------------------------------

def test_host_changes_show():
    """Changes show at once in both directions, without a stale cache; a removed directory does, too."""
    top = make_directory("top", a="one\n")
    with sandbox("box", "--share", f"{top}:/work"):
        execute("box", "cat", "/work/a").expect(0, b"one\n", b"")
        make_directory("top", a="two, longer\n", b="new\n")
        execute("box", "sh", "-c", "cat /work/a /work/b; ls /work").expect(
            0, b"two, longer\nnew\na\nb\n", b"")
        os.rename(os.path.join(top, "b"), os.path.join(top, "a"))
        execute("box", "sh", "-c", "cat /work/a; ls /work").expect(0, b"new\na\n", b"")
        execute("box", "sh", "-c", "echo guest > /work/c").expect(0, b"", b"")
        assert read("top", "c") == "guest\n"
        shutil.rmtree(top)
        gone = execute("box", "cat", "/work/a")
        assert gone.status == 1 and b"No such file" in gone.stderr, gone
        execute("box", "echo", "alive").expect(0, b"alive\n", b"")


@limit(600)
def test_shares_with_snapshot_and_fork():
    """A restored sandbox gets its shares anew, where and as the options say; forks have their own."""
    top = make_directory("top", a="one\n")
    other = make_directory("other", a="other\n")
    with sandbox("box", "--share", f"{top}:/work"):
        execute("box", "sh", "-c", "cat /work/a; sleep 1000 < /work/a > /dev/null 2>&1 &").expect(
            0, b"one\n", b"")
        # Not written through a link that the guest may have made; one of the host's is followed.
        execute("box", "ln", "-s", other, "/work/away").expect(0)
        for path in ("away/snap", "away"):
            call("snapshot", "--force", "box", os.path.join(top, path)).expect_error("away", "symbolic link")
        assert os.listdir(other) == ["a"]
        os.symlink(work(), work("link"))
        call("snapshot", "box", "link/snap", cwd=work()).expect(0, b"", b"")
        execute("box", "cat", "/work/a").expect(0, b"one\n", b"")
        call("fork", "box", "2").expect(0)
        for name in [name for name in ps() if name != "box"]:
            execute(name, "sh", "-c", f"cat /work/a; echo {name} > /work/{name}").expect(
                0, b"one\n", b"")
            assert read("top", name) == name + "\n"
            call("kill", name).expect(0)
    call("restore", "--share", f"{other}:/work:ro", "snap", "again", cwd=work()).expect(0, b"", b"")
    result = execute("again", "sh", "-c", "cat /work/a; echo x > /work/a")
    assert result.stdout == b"other\n" and b"Read-only" in result.stderr, result
    call("kill", "again").expect(0)
    # A share that comes first now, and so has that one's old port, does not get its connection.
    call("restore", "--share", f"{top}:/work", "--share", f"{other}:/w", "snap", "more", cwd=work()).expect(0, b"", b"")
    call("fork", "more", "1").expect(0, b"more-1\n", b"")
    for name in ("more", "more-1"):
        execute(name, "cat", "/work/a", "/w/a").expect(0, b"one\nother\n", b"")
        call("kill", name).expect(0)
    # Without its share the old mount is dead, and all else lives.
    call("restore", "snap", "bare", cwd=work()).expect(0, b"", b"")
    result = execute("bare", "sh", "-c", "cat /work/a; echo alive")
    assert result.stdout == b"alive\n" and result.stderr, result
    call("kill", "bare").expect(0)


def test_workloads_can_not_reach_the_server():
    """A workload can't mount the device of shares; its umount of a share holds for itself only."""
    top = make_directory("top", a="x\n")
    run("sh", "-c", "mount -t virtiofs cordon /mnt 2>/dev/null && echo mounted; "
        "cat /work/a; umount /work && ls /work | wc -l; true",
        options=["--share", f"{top}:/work"]).expect(0, b"x\n0\n")
    assert os.listdir(top) == ["a"]
