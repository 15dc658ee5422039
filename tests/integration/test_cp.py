# SPDX-License-Identifier: Apache-2.0
"""cordon cp: both directions, guests that lie, planted links."""
import os

import cordon
from cordon import FAILED, call
from sandboxes import execute, sandbox


@cordon.limit(400)
def test_cp():
    """Files and directories are copied both ways, without a share; names, modes, links and contents survive."""
    work = os.path.join(os.environ["CORDON_TEST_BASE"], "work")
    tree = os.path.join(work, "tree")
    os.makedirs(os.path.join(tree, "sub", "empty"))
    files = {"one": b"1\n", "with space": b"", "ä漢": b"x" * 1000, "n" * 200: b"long", "sub/two": b"2\n",
             "-dash": b"d", "sub/data": cordon.pattern(200000)}
    for name, data in files.items():
        with open(os.path.join(tree, name), "wb") as file:
            file.write(data)
    os.symlink("/etc/passwd", os.path.join(tree, "link"))
    os.chmod(os.path.join(tree, "one"), 0o750)

    def same(directory):
        for name, data in files.items():
            with open(os.path.join(directory, name), "rb") as file:
                assert file.read() == data, name
        assert os.readlink(os.path.join(directory, "link")) == "/etc/passwd"
        assert os.stat(os.path.join(directory, "one")).st_mode & 0o7777 == 0o750
        assert os.listdir(os.path.join(directory, "sub", "empty")) == []

    with sandbox():
        call("cp", tree, "box:/tmp/new").expect(0, b"", b"")
        execute("box", "sh", "-c", "cat /tmp/new/one /tmp/new/sub/two; ls -a /tmp").expect(
            0, b"1\n2\n.\n..\nnew\n")
        call("cp", "box:/tmp/new", os.path.join(work, "back")).expect(0, b"", b"")
        same(os.path.join(work, "back"))
        # Into a directory that exists.
        call("cp", "-dash", "box:/tmp", cwd=tree).expect_error("cp:")      # parsed as an option
        call("cp", "--", "./-dash", "box:/tmp", cwd=tree).expect(0)
        execute("box", "cat", "/tmp/-dash").expect(0, b"d")
        call("cp", "box:/tmp/new/one", work).expect(0)
        with open(os.path.join(work, "one"), "rb") as file:
            assert file.read() == b"1\n"
        # Paths that do not exist.
        result = call("cp", "box:/none", os.path.join(work, "none"))
        assert result.status == FAILED and b"none" in result.stderr, repr(result)
        assert not os.path.exists(os.path.join(work, "none"))
        call("cp", os.path.join(work, "none"), "box:/tmp/x").expect_error("none")
        call("cp", tree, "none:/tmp").expect_error("no sandbox")
        call("cp", tree, tree).expect_error("one of the two")
        call("cp", "box:/a", "box:/b").expect_error("one of the two")
        call("cp", "box:a", work).expect_error("must begin with /")


def test_cp_from_a_guest_that_lies():
    """A guest sends a forged tar stream: nothing is written outside the target, and no link is followed."""
    work = os.path.join(os.environ["CORDON_TEST_BASE"], "work")
    victim = os.path.join(work, "victim")
    os.mkdir(victim)
    import io
    import tarfile

    def stream(*entries):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
            for name, kind, text in entries:
                info = tarfile.TarInfo(name)
                info.type = kind
                if kind == tarfile.REGTYPE:
                    info.size = len(text)
                    tar.addfile(info, io.BytesIO(text.encode()))
                else:
                    info.linkname = text
                    tar.addfile(info)
        return out.getvalue()

    directory, file, link = tarfile.DIRTYPE, tarfile.REGTYPE, tarfile.SYMTYPE
    lies = [
        stream(("x", directory, ""), ("x/l", link, victim), ("x/l/file", file, "bad")),
        stream(("x/../victim/file", file, "bad")),
        stream((f"{victim}/file", file, "bad")),
        stream(("victim/file", file, "bad")),
        stream(("x", link, victim), ("x/file", file, "bad")),
    ]
    with sandbox():
        # The sandbox's owner may put another sh before the one that cp runs.
        execute("box", "sh", "-c", "mkdir -p /usr/local/bin; cat > /usr/local/bin/sh; "
                                   "chmod 755 /usr/local/bin/sh",
                stdin=b"#!/bin/sh\ncat /tmp/stream\n").expect(0)
        for lie in lies:
            execute("box", "/bin/sh", "-c", "cat > /tmp/stream", stdin=lie).expect(0)
            result = call("cp", "box:/tmp/x", os.path.join(work, "x"))
            assert result.status == FAILED and result.stderr.count(b"\n") == 1, repr(result)
            assert os.listdir(victim) == []
        # Its messages are escaped on a terminal, and unchanged elsewhere.
        execute("box", "/bin/sh", "-c", "cat > /usr/local/bin/sh",
                stdin=b"#!/bin/sh\nprintf 'tar: \\033]0;x\\a\\302\\2332J\\t\\303\\244\\n' >&2; sleep 60 & cat /tmp/stream\n").expect(0)
        result = call("cp", "box:/tmp/x", os.path.join(work, "x"))
        assert result.stderr.startswith(b"tar: \x1b]0;x\x07\xc2\x9b2J\t\xc3\xa4\n"), repr(result)
        terminal = cordon.Terminal("cp", "box:/tmp/x", os.path.join(work, "x"))
        terminal.expect(b"tar: \\x1b]0;x\\x07\\u009b2J\t\xc3\xa4\r\n")
        assert terminal.wait() == FAILED and b"\x1b" not in terminal.output, repr(terminal.output)
        honest = stream(("./x", directory, ""), ("./x/file", file, "good"))
        execute("box", "/bin/sh", "-c", "cat > /tmp/stream", stdin=honest).expect(0)
        call("cp", "box:/tmp/x", os.path.join(work, "honest")).expect(0)
        with open(os.path.join(work, "honest", "file"), "rb") as out:
            assert out.read() == b"good"


@cordon.limit(400)
def test_cp_and_planted_links():
    """A link that one copy has put on the host is not followed by the next, in either direction."""
    work = os.path.join(os.environ["CORDON_TEST_BASE"], "work")
    secret = os.path.join(work, "secret")
    os.makedirs(os.path.join(secret, "sub"))
    with open(os.path.join(secret, "key"), "w", encoding="ascii") as file:
        file.write("mine")

    def untouched():
        with open(os.path.join(secret, "key"), encoding="ascii") as file:
            return file.read() == "mine" and sorted(os.listdir(secret)) == ["key", "sub"]

    with sandbox():
        execute("box", "sh", "-c", f"cd /tmp; echo bad >new; mkdir d; echo bad >d/key; ln -s {secret}/key file; "
                                   f"ln -s {secret} directory").expect(0)
        for name in ("file", "directory"):
            call("cp", f"box:/tmp/{name}", f"./{name}", cwd=work).expect(0, b"", b"")
            assert os.path.islink(os.path.join(work, name))
        # The file replaces the link.
        call("cp", "box:/tmp/new", "./file", cwd=work).expect(0, b"", b"")
        with open(os.path.join(work, "file"), "rb") as file:
            assert file.read() == b"bad\n" and untouched()
        # A link to a directory is never passed through, and entered only as a target with a slash at its end.
        for target in ("directory", "directory/key", "directory/sub/key", os.path.join(work, "directory", "new")):
            call("cp", "box:/tmp/new", target, cwd=work).expect_error("directory", "symbolic link")
            assert untouched()
        for target in ("directory/sub/", "directory/."):
            call("cp", "box:/tmp/d", target, cwd=work).expect_error("directory", "symbolic link")
            assert untouched()
        call("cp", "box:/tmp/d", "directory/", cwd=work).expect(0, b"", b"")
        assert sorted(os.listdir(secret)) == ["d", "key", "sub"]
        # Into the sandbox: what the link points to is not copied.
        for source in ("directory", "directory/key"):
            call("cp", source, "box:/tmp/got", cwd=work).expect_error("directory", "symbolic link")
        execute("box", "cat", "/tmp/got").expect(1, b"")
        call("cp", os.path.join(secret, "key"), "box:/tmp/got").expect(0, b"", b"")
        execute("box", "cat", "/tmp/got").expect(0, b"mine")

        # Streams (-): out and in again, but not to a terminal.
        import io
        import tarfile
        result = call("cp", "box:/tmp/d", "-")
        result.expect(0, None, b"")
        with tarfile.open(fileobj=io.BytesIO(result.stdout)) as tar:
            assert tar.getnames() == ["d", "d/key"] and tar.extractfile("d/key").read() == b"bad\n"
        execute("box", "mkdir", "/tmp/in").expect(0)
        call("cp", "-", "box:/tmp/in", stdin=result.stdout).expect(0, b"", b"")
        execute("box", "cat", "/tmp/in/d/key").expect(0, b"bad\n")
        for result in call("cp", "-", "box:/tmp/none", stdin=result.stdout), call("cp", "box:/tmp/none", "-"):
            assert result.status == FAILED and b"tar in the sandbox failed" in result.stderr, repr(result)
        call("cp", "-", "-").expect_error("one of the two")
        terminal = cordon.Terminal("cp", "box:/tmp/d", "-")
        terminal.expect(b"terminal")
        assert terminal.wait() == FAILED
