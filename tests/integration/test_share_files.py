# SPDX-License-Identifier: Apache-2.0
"""What programs may expect of the files of a share: as much as of files in the guest's memory."""
import io
import os
import shutil
import socket
import stat
import subprocess
import tarfile

import cordon
from cordon import limit, many, run, work, write
from images import host_image
from sandboxes import execute, sandbox

GIT = {f"GIT_{who}_{what}": "a@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
SHELL = ("/bin/sh", "/usr/bin/cat", "/usr/bin/mkdir", "/usr/bin/stat")


def image(*programs, trees=()):
    """A root file system with programs of the host: the share, and not they, is what is tested."""
    for path in (*programs, *trees):
        if not os.path.exists(path):
            raise cordon.Skip(f"needs {path}")
    return host_image((*SHELL, *programs), trees)


def top(name="top"):
    os.makedirs(work(name), exist_ok=True)
    return work(name)


def programs():
    """Options for a share with programs/files.c."""
    shutil.copy(cordon.program("files"), top("programs"))
    return ["--share", f"{work('programs')}:/programs:ro"]


def check_in(places, *checks, options=()):
    """Do checks of programs/files.c in directories of one sandbox: all must be right in each."""
    script = "; ".join(f"/programs/files {place} {' '.join(checks)}" for place in places)
    result = run("sh", "-c", script, options=[*programs(), *options]).expect(0, stderr=b"")
    lines = result.stdout.decode().splitlines()
    assert lines == [f"{check} ok" for check in checks] * len(places), result


def by_host(name, place="top"):
    return os.lstat(os.path.join(work(place), name))


def is_mine(status):
    return (status.st_uid, status.st_gid) == (os.geteuid(), os.getegid())


# --- calls --------------------------------------------------------------------------------------------

@limit(600)
def test_share_files_owners():
    """Owners and set-id bits are remembered and shown; on the host, files have neither, and special files are empty."""
    check_in(("/tmp", "/work"), "owners", "users", "special", "umask", "group-directory",
             options=["--share", f"{top()}:/work"])
    seen = {name: by_host(name) for name in os.listdir(work("top"))}
    for name, status in seen.items():
        assert is_mine(status), (name, status)
        assert stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode), (name, status)
        assert not status.st_mode & (stat.S_ISUID | stat.S_ISGID), (name, status)
    assert seen["special-fifo"].st_size == 0 and is_mine(by_host("users/made"))
    for mask in ("000", "022", "077"):
        for name, wanted in (("", 0o620), ("d-", 0o777), ("p-", 0o666)):
            mode = seen[f"umask-{name}{mask}"].st_mode & 0o777
            assert mode == wanted & ~int(mask, 8), (name, mask, oct(mode))
    # Another sandbox sees what is remembered, and one that wants the host's truth sees that.
    script = "cd /work; stat -c '%a %u %g' owners-2 owners-d users/made special-fifo; [ -p special-fifo ] && echo fifo"
    run("sh", "-c", script, options=["--share", f"{top()}:/work"]).expect(
        0, b"6755 1002 7\n1770 3 4\n644 1000 1000\n660 5 6\nfifo\n", b"")
    script += "; chown 1 owners-2; chmod u+s owners-2; stat -c %a owners-2; mkfifo made; >plain"
    result = run("sh", "-c", script, options=["--share", f"{top()}:/work:owner=host"])
    lines = result.stdout.decode().splitlines()
    assert lines == ["755 0 0", "1770 0 0", "644 0 0", "660 0 0", "755"], result
    assert result.stderr.count(b"not permitted") == 2 and result.stderr.count(b"\n") == 2, result
    assert by_host("plain").st_size == 0 and not os.path.exists(work("top/made"))


@limit(600)
def test_share_files_owners_of_links():
    """A symbolic link, whose host's file can't carry an owner, has the one that it was given as long as it lives."""
    check_in(("/tmp", "/work"), "link-owner", options=["--share", f"{top()}:/work"])
    assert is_mine(by_host("link-owner-2"))


@limit(600)
def test_share_files_attributes():
    """Times keep nanoseconds, attributes their values; what Cordon notes of a file is not the guest's to see or set."""
    with open(os.path.join(top(), "devices-c"), "wb"):
        pass
    os.setxattr(work("top/devices-c"), "user.cordon.stat", b"0:0:20000:259")     # null, which a link to it would be
    check_in(("/tmp",), "times", "attributes", "nameless", "names")
    check_in(("/work",), "times", "attributes", "nameless", "names", "own-attribute", "devices",
             options=["--share", f"{top()}:/work"])
    assert by_host("times-link").st_mtime_ns == 1700000000987654321
    assert os.getxattr(work("top/attributes"), "user.a") == b"value"
    assert os.getxattr(work("top/own"), "user.cordon.stat").startswith(b"1000:1000:")
    assert os.getxattr(work("top/devices-d"), "user.cordon.stat") == b"0:0:20000:259"


@limit(600)
def test_share_files_between_processes():
    """Locks, FIFOs, sockets, inotify and Landlock work among processes of the guest."""
    check_in(("/tmp", "/work"), "lock-kinds", "lock-waits", "lock-interrupted", "lock-killed", "lock-closed",
             "fifo", "socket", "inotify", "landlock", options=["--share", f"{top()}:/work"])
    assert stat.S_ISREG(by_host("fifo").st_mode) and stat.S_ISREG(by_host("socket").st_mode)


@limit(600)
def test_share_files_contents():
    """Maps that are shared and written, holes, copies; in each way of caching."""
    for cache in ("strict", "none"):
        check_in(("/tmp", "/work") if cache == "strict" else ("/work",), "maps", "map-closed", "sparse",
                 "listing",
                 options=["--share", f"{top(cache)}:/work:cache={cache}"])
        with open(work(f"{cache}/maps"), "rb") as file:
            text = file.read()
        assert text[:5] == b"first" and text[5000:5006] == b"second" and text[200:206] == b"fourth"
        assert by_host("sparse", cache).st_size == 65536


@limit(300)
def test_share_files_that_exist():
    """A name that the guest has not seen is created if it is missing, and opened as any other if it exists."""
    make = "printf text >existing-f; echo old >existing-t; mkdir existing-d; ln -s existing-none existing-l"
    for place in top(), top("ruled"):
        subprocess.run(["sh", "-c", make], cwd=place, check=True)
    script = (f"cd /tmp; {make}; for place in /tmp /work; do /programs/files $place existing; done; cd /ruled; "
              "for try in '3<>existing-f' '3>existing-new' '3<existing-f' '3>new'; do (eval exec $try) && echo $try; done; true")
    result = run("sh", "-c", script, options=[*programs(), "--share", f"{work('top')}:/work", "--share",
                                              f"{work('ruled')}:/ruled", "--policy",
                                              write("policy", "policy 1\nfile read /ruled/existing*\n")])
    assert result.stdout == b"existing ok\nexisting ok\n3<existing-f\n3>new\n", result
    assert result.stderr.count(b"ermission denied") == 2, result


def test_share_files_of_the_host():
    """FIFOs, sockets and devices of the host are shown, and not opened; files beside them are."""
    os.mkfifo(os.path.join(top(), "fifo"))
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(work("top"))
        listener.bind("socket")
        listener.listen()
        write("top/plain", "text\n")
        result = run("sh", "-c", "cd /work; [ -p fifo ] && [ -S socket ] && echo shown; cat plain; "
                     "timeout 10 cat fifo; nc local:socket < /dev/null; echo $?", options=["--share", f"{top()}:/work"])
        assert result.stdout.startswith(b"shown\ntext\n") and not result.stdout.endswith(b"\n0\n"), result
        listener.setblocking(False)
        try:
            assert not listener.accept(), "the guest has reached a server of the host"
        except BlockingIOError:
            pass


def test_share_files_device():
    """A workload has what is mounted for it; it can't mount the device of all shares, nor serve a file system."""
    write("top/a", "here\n")
    script = ("cat /work/a; cat /work/../../0/a /work/../1/b; mkdir /tmp/m; for type in virtiofs fuse fuseblk; do "
              "for how in '' 'unshare -Urm'; do $how mount -t $type cordon /tmp/m && ls /tmp/m; done; done; "
              "ls /dev/fuse; mknod /tmp/fuse c 10 229 || echo none")
    write("other/b", "not here\n")
    result = run("sh", "-c", script, options=["--share", f"{top()}:/work", "--share", f"{top('other')}:/w/x/y",
                                              "--policy", write("policy", "policy 1\nprocess allow userns\n")])
    assert result.stdout == b"here\nnone\n" and result.stderr.count(b"\n") >= 9, result


# --- programs -----------------------------------------------------------------------------------------

def archive():
    """An archive with what root may unpack: owners, set-id bits, a FIFO, links."""
    path = work("in/a.tar")
    os.makedirs(work("in"))
    count = many(20, 1000)
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        def add(name, kind=tarfile.REGTYPE, mode=0o640, target="", owner=(1000, 1001)):
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.linkname = kind, mode, target
            info.mtime = -86400 if name == "t/old" else 1600000000
            info.uid, info.gid = owner
            info.size = len(name) if kind == tarfile.REGTYPE else 0
            tar.addfile(info, io.BytesIO(name.encode()))
        add("t", tarfile.DIRTYPE, 0o2775)
        for number in range(count):
            add(f"t/{number}")
        add("t/set-id", mode=0o6755)
        add("t/old", owner=(0, 0))
        add("t/pipe", tarfile.FIFOTYPE, 0o600)
        add("t/hard", tarfile.LNKTYPE, target="t/set-id")
        add("t/soft", tarfile.SYMTYPE, 0o777, target="old")
    return count + 6


@limit(1200)
def test_share_files_tar_and_cp():
    """tar unpacks an archive as root, and `cp -a` copies the tree, without an error and with all that it is."""
    count = archive()
    tools = ["/usr/bin/tar", "/usr/bin/cp", "/usr/bin/find", "/usr/bin/sort"]
    rsync = shutil.which("rsync")
    copy = "rsync -a t/ r/" if rsync else "cp -a t r"
    script = (f"cd /work; tar --warning=no-timestamp -xpf /in/a.tar && cp -a t c && {copy} && "
              "for d in t c r; do (cd $d; find . -printf '%p %y %m %U %G %T@ %l\\n' | sort >/tmp/$d); done; "
              "cat /tmp/t; cat /tmp/c /tmp/r >&2")
    result = run("sh", "-c", script, options=[
        "--rootfs", image(*tools, *([rsync] if rsync else [])), "--share", f"{work('in')}:/in:ro",
        "--share", f"{top()}:/work"]).expect(0)
    assert result.stderr == result.stdout * 2, result
    lines = {line.split()[0]: line.split()[1:] for line in result.stdout.decode().splitlines()}
    assert len(lines) == count, result
    assert lines["."][:4] == ["d", "2775", "1000", "1001"], result
    assert lines["./set-id"][:4] == lines["./hard"][:4] == ["f", "6755", "1000", "1001"], result
    assert lines["./pipe"][:4] == ["p", "600", "1000", "1001"], result
    assert lines["./soft"][:4] == ["l", "777", "1000", "1001"] and lines["./soft"][5] == "old", result
    assert lines["./old"][:4] == ["f", "640", "0", "0"] and float(lines["./old"][4]) == -86400, result
    assert by_host("t/hard").st_ino == by_host("t/set-id").st_ino and by_host("t/0").st_mode & 0o7777 == 0o640


@limit(1200)
def test_share_files_git():
    """A repository on a share: made, committed to, looked at, cloned."""
    script = ("export HOME=/tmp; cd /work; git init -q -b main a; cd a; echo one >f; git add f; git commit -qm one; "
              "echo two >>f; git status --porcelain; git commit -qam two; git log --format=%s")
    script += many("", "; cd ..; git clone -q a b; cd b; git fsck --no-progress; git status --porcelain; cat f")
    options = [word for name, value in GIT.items() for word in ("-e", f"{name}={value}")]
    result = run("sh", "-c", script, options=[
        "--rootfs", image("/usr/bin/git", "/usr/bin/git-upload-pack"), "-m", "512M", *options,
        "--share", f"{top()}:/work"])
    result.expect(0, b" M f\ntwo\none\n" + many(b"", b"one\ntwo\n"))
    seen = subprocess.run(["git", "-c", "safe.directory=*", "-C", work(many("top/a", "top/b")), "log", "--format=%s"],
                          check=True, stdout=subprocess.PIPE)
    assert seen.stdout == b"two\none\n", seen


@limit(1200)
def test_share_files_sqlite():
    """SQLite in WAL mode, with a second process on the same database, by the host's own program."""
    cordon.need_program("sqlite3")
    second = "sqlite3 t.db \"insert into t values(2); select 'second', count(*) from t;\""
    script = ("pragma journal_mode=wal;\ncreate table t(x);\ninsert into t values(1);\nbegin;\n"
              "select 'first', count(*) from t;\n"
              f".shell {second}\nselect 'first', count(*) from t;\ncommit;\nselect 'first', count(*) from t;\n"
              "pragma integrity_check;\n")
    result = run("sqlite3", "t.db", stdin=script.encode(),
                 options=["--rootfs", "host", "--share", f"{top()}:/work", "-w", "/work"])
    result.expect(0, b"wal\nfirst|1\nsecond|2\nfirst|1\nfirst|2\nok\n", b"")
    assert os.listdir(work("top")) == ["t.db"]


@limit(1200)
def test_share_files_linkers():
    """Linkers, which map what they write, write a program to a share that runs from there; make builds it."""
    tools = ["/usr/bin/as", "/usr/bin/ld.bfd", "/usr/bin/ld.gold", "/usr/bin/make"]
    write("top/a.s", ".globl _start\n_start: mov $60, %eax\nmov $7, %edi\nsyscall\n")
    write("top/Makefile", "all: bfd gold\na.o: a.s\n\tas -o $@ $<\nbfd gold: a.o\n\tld.$@ -o $@ $<\n")
    script = "cd /work; make -s -j2; ./bfd; echo $?; ./gold; echo $?; make"
    result = run("sh", "-c", script, options=["--rootfs", image(*tools), "-m", "512M", "--share", f"{top()}:/work"])
    assert result.expect(0, stderr=b"").stdout.startswith(b"7\n7\nmake: Nothing to be done"), result
    assert by_host("gold").st_mode & 0o777 == 0o755


@limit(900)
def test_share_files_agent_socket():
    """ssh-agent has its socket in a share, flock(1) its file, and a FIFO goes from one command to another."""
    tools = ["/usr/bin/ssh-agent", "/usr/bin/ssh-add", "/usr/bin/flock", "/usr/bin/mkfifo", "/usr/bin/rm"]
    with sandbox("box", "--rootfs", image(*tools), "--share", f"{top()}:/work"):
        result = execute("box", "sh", "-c", "cd /work; ssh-agent -a agent sh -c 'ssh-add -l; echo $?'; "
                         "flock lock sh -c 'flock -n lock true || echo locked'; flock -n lock sh -c 'echo free'; "
                         "mkfifo pipe; (echo through >pipe) & cat pipe").expect(0)
        assert result.stdout == b"The agent has no identities.\n1\nlocked\nfree\nthrough\n", result
    assert stat.S_ISREG(by_host("pipe").st_mode) and by_host("pipe").st_size == 0
