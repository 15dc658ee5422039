# SPDX-License-Identifier: Apache-2.0
"""Root file systems from directories, the host's own programs, and OCI images."""
import gzip
import os
import subprocess
import tempfile

from cordon import Skip, Terminal, call, limit, run, start, wait_until
from images import (BUSYBOX, DIRECTORY, FILE, LINK, busybox_layers, docker_archive, images, layer, oci_layout, removed,
                    root_directory, tree, work)
from sandboxes import execute, sandbox


# --- directories ----------------------------------------------------------------------------------------

@limit(900)
def test_a_directory_is_the_root_and_stays_as_it_is():
    """A directory as root file system belongs to sandbox root; writes go to guest memory, not to the directory."""
    path = root_directory()
    try:                                        # attributes that an overlay can't copy up must not stop it
        os.setxattr(os.path.join(path, "etc/file"), "user.note", b"x")
        os.setxattr(os.path.join(path, "etc"), "user.note", b"x")
    except OSError:
        pass
    before = tree(path)
    run("sh", "-c", "cat /etc/file; echo new > /etc/file; cat /etc/file; rm /bin/id; echo x > /bin/x; "
                    "mkdir /d; ln -s /etc /bin/l; ls /bin/x /bin/l/file /d -d; ls -ld /etc; ls /tmp /dev/null",
        options=("--rootfs", path)).expect(0)
    assert tree(path) == before
    result = run("sh", "-c", "id; cat /etc/file; ls -ln /etc/file", options=("--rootfs", path)).expect(0)
    lines = result.stdout.decode().splitlines()
    assert lines[0].startswith("uid=0") and lines[1] == "as it was", result
    assert lines[2].split()[2:4] == ["0", "0"], result
    # The agent's directory is in every root file system.
    run("sh", "-c", "cat /run/cordon/denials; echo x >/run/cordon/x || /run/cordon/cordon-guest propose 'file read /x'",
        options=("--rootfs", path)).expect(3, b"", b"sh: can't create /run/cordon/x: Permission denied\n"
                                                   b"undecided: no operator is attached\n")


@limit(900)
def test_rules_hold_in_a_served_root():
    """A file that a rule hides is absent under every name; without the rule it is there."""
    path = root_directory()
    with open(os.path.join(path, "etc/secret"), "w") as file:
        file.write("secret\n")
    os.symlink("secret", os.path.join(path, "etc/other"))
    with open(work("rules"), "w") as file:
        file.write("policy 1\nfile hide /etc/secret\n")
    script = "cat /etc/secret; cat /etc/other; ls /etc; cat /etc/file"
    shown = run("sh", "-c", script, options=("--rootfs", path)).expect(0)
    assert shown.stdout.count(b"secret\n") == 3, shown
    hidden = run("sh", "-c", script, options=("--rootfs", path, "--policy", work("rules"))).expect(0)
    assert hidden.stdout == b"file\nhostname\nhosts\nmachine-id\nother\nas it was\n", hidden


@limit(900)
def test_two_at_once_do_not_see_each_other():
    path = root_directory()
    script = "echo {0} > /etc/file; echo ready; cat; cat /etc/file"
    first = start("sh", "-c", script.format("one"), options=("--rootfs", path))
    second = start("sh", "-c", script.format("two"), options=("--rootfs", path))
    for process in (first, second):
        process.wait_output(b"ready")
    for process, word in ((first, b"one"), (second, b"two")):
        process.feed(b"")
        process.wait().expect(0, b"ready\n" + word + b"\n", b"")


@limit(900)
def test_one_template_serves_all_roots():
    """One template serves all root file systems: --rootfs alone makes no new one."""
    run("true").expect(0)
    result = run("cat", "/etc/file", options=("--verbose", "--rootfs", root_directory())).expect(0, b"as it was\n")
    assert b"agent ready" in result.stderr and b"template written" not in result.stderr, result


@limit(900)
def test_a_served_root_goes_on_in_copies():
    """Open files, working directories and new programs survive fork and restore, from the same directory and share."""
    path, shared = root_directory(), work("shared")
    os.makedirs(shared)
    with open(os.path.join(shared, "lines"), "w") as file:
        file.write("one\ntwo\nthree\n")
    share = ("--share", f"{shared}:/work")
    # A background process has a file of each open, and its working directory in the share.
    loop = ("cd /work; exec 3</etc/file 4<lines; read a <&4; echo > ready; while [ ! -e go ]; do sleep 1; done; "
            "read b <&3; read c <&4; echo $b $c > $(cat /proc/sys/kernel/hostname)")
    with sandbox("box", "--rootfs", path, *share):
        execute("box", "sh", "-c", f"({loop}) >/dev/null 2>&1 </dev/null & echo made > /made").expect(0)
        wait_until(lambda: os.path.exists(os.path.join(shared, "ready")), "the process")
        call("snapshot", "box", "snap", cwd=work("")).expect(0, b"", b"")
        call("fork", "box", "2").expect(0, b"box-1\nbox-2\n")
        try:
            for name in ("box", "box-1", "box-2"):
                execute(name, "sh", "-c", f"cat /made /etc/file /work/lines; echo {name} > /own; cat /own; rm /bin/id"
                        ).expect(0, f"made\nas it was\none\ntwo\nthree\n{name}\n".encode(), b"")
            assert "own" not in os.listdir(path) and os.path.exists(os.path.join(path, "bin/id"))
            with open(os.path.join(shared, "go"), "w"):
                pass
            for name in ("box", "box-1", "box-2"):
                wait_until(lambda name=name: os.path.exists(os.path.join(shared, name)) and
                           os.path.getsize(os.path.join(shared, name)), f"{name}'s file")
        finally:
            call("kill", "box-1")
            call("kill", "box-2")
    for name in ("box", "box-1", "box-2"):
        with open(os.path.join(shared, name)) as file:
            assert file.read() == "as it was two\n"
    # The snapshot holds no file of the host: the options of restore say where they are.
    call("restore", "snap", "again", cwd=work("")).expect_error("--rootfs", path)
    call("restore", "--rootfs", "host", "snap", "again", cwd=work("")).expect_error("--rootfs", path)
    os.rename(path, path + ".moved")
    call("restore", "--rootfs", path + ".moved", *share, "snap", "again", cwd=work("")).expect(0, b"", b"")
    try:
        execute("again", "sh", "-c", "cat /made /etc/file /work/lines").expect(
            0, b"made\nas it was\none\ntwo\nthree\n", b"")
        call("fork", "again", "1").expect(0, b"again-1\n")
        execute("again-1", "sh", "-c", "cat /made /etc/file").expect(0, b"made\nas it was\n", b"")
    finally:
        call("kill", "again-1")
        call("kill", "again")
    # A snapshot without such a root file system accepts none.
    with sandbox("plain"):
        call("snapshot", "--force", "plain", "snap", cwd=work("")).expect(0)
    call("restore", "--rootfs", path + ".moved", "snap", "again", cwd=work("")).expect_error("leave out --rootfs")


@limit(900)
def test_a_guest_can_not_choose_the_directories_of_its_forks():
    """A guest that replaces a directory in a share by a link cannot choose what its forks get."""
    path, top = root_directory(), work("")
    data, secret = work("data"), tempfile.mkdtemp(dir=os.path.dirname(top.rstrip("/")))
    os.makedirs(data)
    for place, text in ((data, "data\n"), (secret, "secret\n")):
        with open(os.path.join(place, "key"), "w") as file:
            file.write(text)
    with sandbox("box", "--rootfs", path, "--share", f"{top}:/work", "--share", f"{data}:/data"):
        for name in (os.path.basename(path), "data"):
            execute("box", "sh", "-c", f"mv /work/{name} /work/away && ln -s {secret} /work/{name}").expect(0, b"", b"")
            call("fork", "box", "1").expect_error("another directory")
            execute("box", "sh", "-c", f"rm /work/{name} && mv /work/away /work/{name}").expect(0, b"", b"")
        call("fork", "box", "1").expect(0)
        execute("box-1", "cat", "/data/key", "/etc/file").expect(0, b"data\nas it was\n", b"")
        call("kill", "box-1").expect(0)


@limit(900)
def test_a_copy_of_an_image_is_as_its_image_says():
    """Copies of a sandbox from an image have its variables and working directory, too; another image is refused."""
    path = work("layout")
    image = oci_layout(path, busybox_layers()[:1], Env=["COLOUR=blue", "PATH=/bin"], WorkingDir="/old")
    with removed(image):
        with sandbox("box", "--rootfs", path):
            call("snapshot", "box", "snap", cwd=work("")).expect(0, b"", b"")
            call("fork", "box", "1").expect(0)
            try:
                execute("box-1", "sh", "-c", "echo $COLOUR; pwd; cat kept").expect(0, b"blue\n/old\nbelow\n", b"")
            finally:
                call("kill", "box-1")
        call("restore", "--rootfs", root_directory(), "snap", "again", cwd=work("")).expect_error("--rootfs", "sha256:")
        call("restore", "snap", "again", cwd=work("")).expect_error("--rootfs", f"sha256:{image[:12]}")
        with removed(oci_layout(work("other"), busybox_layers()[:1], Env=["PATH=/bin"])):
            call("restore", "--rootfs", work("other"), "snap", "again", cwd=work("")).expect_error("is not the image")
        # Unpacked again, as on another host, it is the same image.
        call("image", "rm", image).expect(0)
        call("restore", "--rootfs", path, "snap", "again", cwd=work("")).expect(0)
        try:
            # All of the program is read from the disk.
            sums = subprocess.run(["busybox", "md5sum", BUSYBOX], check=True, stdout=subprocess.PIPE).stdout
            execute("again", "sh", "-c", "echo $COLOUR; pwd; cat kept; busybox md5sum /bin/busybox").expect(
                0, b"blue\n/old\nbelow\n" + sums, b"")
        finally:
            call("kill", "again")
        # A snapshot without such a root file system accepts none.
        with sandbox("plain"):
            call("snapshot", "--force", "plain", "snap", cwd=work("")).expect(0)
        call("restore", "--rootfs", path, "snap", "again", cwd=work("")).expect_error("leave out --rootfs")


@limit(900)
def test_invalid_roots():
    path = root_directory()
    os.makedirs(work("empty"))
    for value, words in (("/", ("host",)), (work("nowhere"), ("nowhere",)), ("no-such-image", ("image ls",)),
                         ("image:no-such-image", ("no such image",)), ("dir:" + work("root/etc/file"), ("is not a directory",)),
                         ("sha256:00000000aa", ("image ls",))):
        run("true", options=("--rootfs", value)).expect_error("--rootfs", *words)
    run("/bin/cat", "/etc/file", options=("--rootfs", work("empty"))).expect(127, b"")
    run("cat", "/etc/file", options=("--rootfs", "dir:" + path)).expect(0, b"as it was\n", b"")


# --- images ---------------------------------------------------------------------------------------------

@limit(900)
def test_an_archive_of_docker_save_runs():
    """An archive of docker save: layers in order, whiteouts, links, the image's configuration, and options over it."""
    path = work("box.tar")
    image = docker_archive(path, busybox_layers(), Env=["PATH=/bin", "A=image", "B=image"], WorkingDir="/w",
                           User="worker", Cmd=["sh", "-c", "id -u; pwd; touch mine || exit 3; echo $A $B; cat /old/kept /hard; "
                                               "ls /old /all; ls /pipe"])
    with removed(image):
        text = b"77\n/w\nimage option\nbelow\nbelow\n/all:\nnew\n\n/old:\nkept\n/pipe\n"
        run(options=("--rootfs", path, "--env", "B=option")).expect(0, text, b"")
        assert image in images()
        run("sh", "-c", "id -u; pwd; echo $A", options=("--rootfs", path, "--user", "root", "--workdir", "/",
                                                        "--env", "A=b")).expect(0, b"0\n/\nb\n", b"")
    assert image not in images()


@limit(900)
def test_an_image_layout_is_built_and_used_by_name():
    path = work("layout")
    image = oci_layout(path, busybox_layers(), Entrypoint=["echo", "entry"], Cmd=["word"], User="77:78",
                       WorkingDir="/all", Env=["PATH=/bin", "A=image", "B=image"])
    with removed(image):
        built = call("image", "build", path, "--tag", "test/box:1").expect(0)
        assert built.stdout.decode() == f"sha256:{image}\n", built
        call("image", "build", "--tag", "box-two", path).expect(0, built.stdout, b"")
        entry = images()[image]
        assert sorted(entry["names"]) == ["box-two", "test/box:1"] and entry["bytes"] > 100000, entry
        run(options=("--rootfs", "box-two")).expect(0, b"entry word\n", b"")
        run("id", options=("--rootfs", f"sha256:{image[:12]}")).expect(0, b"uid=77(worker) gid=78 groups=78\n", b"")
        with sandbox("box", "--rootfs", "box-two"):
            call("image", "rm", image).expect_error("uses")
            execute("box", "cat", "/all/new").expect(0, b"above\n")
            # The image's settings, and the options that replace them. (cp is Cordon's own command.)
            shown = call("exec", "--env", "B=option", "box", "--", "sh", "-c", "id -u; id -g; pwd; echo $A $B")
            shown.expect(0, b"77\n78\n/all\nimage option\n", b"")
            other = call("exec", "-u", "root", "-w", "/w", "box", "--", "sh", "-c", "id -u; pwd")
            other.expect(0, b"0\n/w\n", b"")
            # The image's user is a number. Its home comes from the image's passwd, which the agent opens as sandbox root.
            home = ("exec", "box", "--", "sh", "-c", "echo $HOME")
            call(*home).expect(0, b"/w\n", b"")
            call("exec", "-u", "root", "box", "--", "busybox", "chmod", "600", "/etc/passwd").expect(0, b"", b"")
            call(*home).expect(0, b"/w\n", b"")
            call("exec", "-u", "worker", "box", "--", "sh", "-c", "echo $HOME").expect(0, b"/w\n", b"")
        call("image", "rm", "box-two").expect(0, b"", b"")
        assert images()[image]["names"] == ["test/box:1"]
        call("image", "rm", "test/box:1").expect(0, b"", b"")
        assert image not in images()
        run("true", options=("--rootfs", "box-two")).expect_error("box-two")


@limit(900)
def test_images_that_are_refused():
    """Images that are refused; the same image without the fault is accepted."""
    good = layer(("bin", DIRECTORY, "", 0o755), ("bin/x", FILE, b"x", 0o755))
    path = work("image.tar")
    with removed(docker_archive(path, [good])):
        call("image", "build", path).expect(0)
        # The file's name may be hostile: on a terminal it is escaped.
        os.rename(path, work("a\x1b[31m.tar"))
        terminal = Terminal("image", "build", work("a\x1b[31m.tar"))
        terminal.expect(b"a\\x1b[31m.tar\r\n")
        assert terminal.wait() == 0 and b"\x1b" not in terminal.output, terminal.output
        os.rename(work("a\x1b[31m.tar"), path)
    for entry, words in ((("../x", FILE, b"bad", 0o644), ("..",)), (("/../x", FILE, b"bad", 0o644), ("..",)),
                         (("h", LINK, "../../etc/passwd", 0o644), ("..",))):
        image = docker_archive(path, [layer(("bin", DIRECTORY, "", 0o755), entry)])
        call("image", "build", path).expect_error("layer 1 of 1", *words)
        assert image not in images()
    docker_archive(path, [good], machine="arm64")
    call("image", "build", path).expect_error("linux/arm64")
    image = docker_archive(path, [good])
    with open(path, "r+b") as file:             # rename the layer's first file
        data = file.read()
        file.seek(data.index(b"bin/x"))
        file.write(b"bin/y")
    call("image", "build", path).expect_error("layer")
    with open(work("image.tar.gz"), "wb") as file:
        file.write(gzip.compress(data))
    with removed(image):                        # these are the bytes before the change
        call("image", "build", work("image.tar.gz")).expect(0)
    assert not [name for name in os.listdir(work("")) if name not in ("image.tar", "image.tar.gz")]


# --- the host -------------------------------------------------------------------------------------------

HOST_SCRIPT = r"""
import os, sys
print(sys.version)
def names(path):
    try: return sorted(os.listdir(path))
    except OSError as error: return error.errno
print(names("/root"), names("/home"), names("/home/user"))
print([path for path in ("/etc/shadow", "/etc/ssh", "/etc/ssl/private", "/boot", "/srv", "/opt",
                         "/var/lib", sys.argv[1]) if os.path.lexists(path)])
print(open("/etc/hostname").read().strip(), open("/etc/hosts").read().count("localhost"))
print(len(open("/etc/machine-id").read()), open("/etc/machine-id").read() == sys.argv[2])
print(open("/etc/passwd").read().count("\n"), os.stat("/usr").st_uid)
with open("/usr/bin/cordon-was-here", "w") as file: file.write("x")
os.unlink("/usr/bin/env")
with open("/etc/nsswitch.conf", "w") as file: file.write("mine")
print(os.path.exists("/usr/bin/cordon-was-here"), os.path.exists("/usr/bin/env"))
"""


@limit(900)
def test_the_hosts_python_runs_and_the_host_is_not_touched():
    python = os.path.realpath("/usr/bin/python3")
    if not python.startswith("/usr/") or not os.path.exists("/usr/bin/env"):
        raise Skip("needs /usr/bin/python3 and /usr/bin/env")
    secret = work("secret")
    with open(secret, "w") as file:
        file.write("secret")
    # The sandbox has its own machine id.
    host_id = ""
    if os.path.exists("/etc/machine-id"):
        with open("/etc/machine-id") as file:
            host_id = file.read()
    result = run(python, "-c", HOST_SCRIPT, secret, host_id, options=("--rootfs", "host")).expect(0)
    lines = result.stdout.decode().splitlines()
    version = os.popen(f"{python} -c 'import sys; print(sys.version)'").read().splitlines()
    assert lines[:len(version)] == version, result
    assert lines[len(version):] == ["[] ['user'] []", "[]", "sandbox 3", "33 False", "3 0", "True False"], result
    assert os.path.exists("/usr/bin/env") and not os.path.lexists("/usr/bin/cordon-was-here")
    if os.path.exists("/etc/nsswitch.conf"):
        with open("/etc/nsswitch.conf") as file:
            assert file.read() != "mine"


@limit(900)
def test_an_image_name_comes_before_a_path():
    """A value of --rootfs is an image's name first, and then a path; `host` is always the host."""
    os.makedirs(work("host"))
    run("/bin/busybox", "true", options=("--rootfs", work("host"))).expect(127)
    os.symlink(root_directory(), work("named"))
    run("cat", "/etc/file", options=("--rootfs", "named"), cwd=work("")).expect(0, b"as it was\n", b"")
