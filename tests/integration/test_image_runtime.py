# SPDX-License-Identifier: Apache-2.0
"""What a runtime owes an image, and a command: users and groups, directories, names, archives of all tools."""
import io
import json
import os
import tarfile

from cordon import call, limit, run, wait_until, work
from images import DIRECTORY, FILE, LINK, SYMLINK, add, busybox_layers, configuration, digest, docker_archive, layer, removed
from sandboxes import execute, sandbox

USERS = layer(("etc", DIRECTORY, "", 0o755),
              ("etc/passwd", FILE, b"root:x:0:0::/root:/bin/sh\nworker:x:77:78::/w:/bin/sh\n", 0o644),
              ("etc/group", FILE, b"root:x:0:\nworkers:x:78:\nextra:x:99:root,worker\nlogs:x:55:worker\n", 0o644))
IDS = "echo $(id -u) $(id -g) $(id -G | busybox xargs -n1 | busybox sort -n)"


@limit(900)
def test_users_and_groups_are_as_the_image_names_them():
    """A user by name or number, with its memberships or with a group; of an image, of --user, and of exec."""
    path, other = work("box.tar"), work("other.tar")
    layers = [busybox_layers()[0], USERS]
    with removed(docker_archive(path, layers, Env=["PATH=/bin"], Cmd=["sh", "-c", IDS])):
        run(options=("--rootfs", path)).expect(0, b"0 0 0 99\n", b"")      # no User: root, with its memberships
        for user, ids in (("worker", b"77 78 55 78 99\n"), ("77", b"77 78 55 78 99\n"), ("worker:extra", b"77 99 99\n"),
                          ("77:55", b"77 55 55\n"), ("1234:extra", b"1234 99 99\n"), ("1234", b"1234 0 0\n")):
            run(options=("--rootfs", path, "-u", user)).expect(0, ids, b"")
        # The home directory is the entry's, by number as well; without an entry it is /, and there is no USER.
        for user, words in (("worker", b"/w worker\n"), ("77", b"/w worker\n"), ("1234", b"/ none\n")):
            run("sh", "-c", "echo $HOME ${USER-none}", options=("--rootfs", path, "-u", user)).expect(0, words, b"")
        for user, word in (("nobody", "nobody: no such user"), ("worker:none", "none: no such group"),
                           ("4294867295", "0 to 4294867294")):
            run("true", options=("--rootfs", path, "-u", user)).expect_error(word)
    with removed(docker_archive(other, layers, Env=["PATH=/bin"], User="1000650000:extra", Cmd=["sh", "-c", IDS])):
        run(options=("--rootfs", other)).expect(0, b"1000650000 99 99\n", b"")
        with sandbox("box", "--rootfs", other):
            execute("box", "sh", "-c", IDS).expect(0, b"1000650000 99 99\n", b"")
            call("exec", "-u", "worker:logs", "box", "--", "sh", "-c", IDS).expect(0, b"77 55 55\n", b"")
            call("exec", "-u", "1000:1000", "box", "--", "sh", "-c", IDS).expect(0, b"1000 1000 1000\n", b"")
            # Lists of processes have such a user, too.
            execute("box", "sh", "-c", "busybox sleep 1000 </dev/null >/dev/null 2>&1 &").expect(0)
            wait_until(lambda: b"1000650000" in call("top", "--once", "box").expect(0).stdout, "a list of processes")


@limit(900)
def test_all_ids_but_the_last_are_the_sandboxs():
    """Owners up to 4294867294, in memory, in a share and in an archive that keeps owners; none is the guest's root."""
    shared = work("shared")
    os.makedirs(shared)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.GNU_FORMAT) as tar:
        info = tarfile.TarInfo("f")
        info.uid = info.gid = 200000
        tar.addfile(info)
    script = ("tar xf - && stat -c %u:%g f && cp -p f /work/f && stat -c %u:%g /work/f && "
              "touch g && chown 4294867294:4294867294 g && stat -c %u:%g g && ! chown 4294867295 g 2>/dev/null")
    run("sh", "-c", "cd /tmp && " + script, options=("--share", f"{shared}:/work"), stdin=archive.getvalue()).expect(
        0, b"200000:200000\n200000:200000\n4294867294:4294867294\n", b"")
    assert os.stat(os.path.join(shared, "f")).st_uid == os.geteuid()
    run("true", options=("--share", f"{shared}:/work:uid=4294867295")).expect_error("4294867294")


@limit(900)
def test_standard_streams_open_by_name():
    """/dev/stdin, /dev/stdout and /proc/self/fd/N open again, as root and as another user; a terminal does, too."""
    script = "cat /dev/stdin; echo out >/dev/stdout; echo fd >/proc/self/fd/1; echo err >/dev/stderr"
    for user in ("root", "user", "1234:99"):
        run("sh", "-c", script, options=("-u", user), stdin=b"in\n").expect(0, b"in\nout\nfd\n", b"err\n")
    # Another user's are not open to it.
    run("sh", "-c", "su -s /bin/sh user -c 'echo x >/dev/stdout'").expect(1, b"", None)


@limit(900)
def test_directories_that_no_layer_has_are_made():
    """WorkingDir and Volumes are made; what layers have in /run, /tmp and /dev/shm is there; a missing -w is an error."""
    path = work("box.tar")
    more = layer(("run", DIRECTORY, "", 0o755), ("run/app", DIRECTORY, "", 0o755, 77),
                 ("run/cordon", SYMLINK, "/tmp", 0o777), ("var", DIRECTORY, "", 0o755), ("var/run", SYMLINK, "/run", 0o777),
                 ("tmp", DIRECTORY, "", 0o1777), ("tmp/file", FILE, b"tmp\n", 0o644),
                 ("dev", DIRECTORY, "", 0o755), ("dev/shm", DIRECTORY, "", 0o1777), ("dev/shm/file", FILE, b"shm\n", 0o644))
    image = docker_archive(path, busybox_layers()[:1] + [more], Env=["PATH=/bin"], WorkingDir="/srv/app",
                           Volumes={"/data": {}, "/var/run/v": {}})
    script = ("pwd; touch /data/x /run/v/x /var/run/app/lock; cat /tmp/file /dev/shm/file; echo >/dev/shm/new; "
              "cat /run/cordon/denials; echo >/dev/null; ls /run")
    with removed(image):
        run("sh", "-c", script, options=("--rootfs", path)).expect(0, b"/srv/app\ntmp\nshm\napp\ncordon\nv\n", b"")
        run("touch", "/run/app/lock", options=("--rootfs", path, "-u", "worker")).expect(0, b"", b"")
        run("pwd", options=("--rootfs", path, "-w", "/nowhere")).expect_error("/nowhere: no such directory")


@limit(900)
def test_localhost_and_the_own_name_resolve():
    """In an image without /etc/hosts, and in the default root; after fork and restore with their own names."""
    path = work("box.tar")
    own = "busybox ping -c1 -w1 localhost >/dev/null && busybox ping -c1 -w1 $(busybox hostname) >/dev/null && cat /etc/hostname"
    with removed(docker_archive(path, busybox_layers()[:1], Env=["PATH=/bin"])):
        run("sh", "-c", own, options=("--rootfs", path)).expect(0, b"sandbox\n", b"")
        with sandbox("box", "--rootfs", path):
            call("fork", "box", "1").expect(0)
            try:
                execute("box-1", "sh", "-c", own).expect(0, b"box-1\n", b"")
            finally:
                call("kill", "box-1")
    with sandbox("box"):
        execute("box", "sh", "-c", own + "; echo 10.9.8.7 db >>/etc/hosts").expect(0)
        call("snapshot", "box", "snap", cwd=work("")).expect(0)
        call("fork", "box", "1").expect(0)
        try:
            execute("box-1", "sh", "-c", own + "; grep -c db /etc/hosts").expect(0, b"box-1\n1\n", b"")
        finally:
            call("kill", "box-1")
    call("restore", "snap", "again", cwd=work("")).expect(0)
    try:
        execute("again", "sh", "-c", own.replace("cat /etc/hostname", "true")).expect(0, b"", b"")
    finally:
        call("kill", "again")


@limit(900)
def test_archives_of_all_tools():
    """Names of the configuration, layers without end or byte, and absolute names, as `docker load` takes them."""
    plain, ok = busybox_layers()[0], {"Env": ["PATH=/bin"], "Cmd": ["cat", "/a/f", "/g"]}
    no_end = layer(("unused", FILE, b"x", 0o644))[:512 + 1]
    layers = [plain, no_end, b"", layer(("/a", DIRECTORY, "", 0o755), ("/a/f", FILE, b"ok\n", 0o644), ("g", LINK, "/a/f", 0o644))]
    for name in ("sha256:{}", "config.json"):
        path, config = work("box.tar"), configuration(layers, **ok)
        with tarfile.open(path, "w") as tar:
            for number, data in enumerate(layers):
                add(tar, f"{number}.tar", data)
            add(tar, name.format(digest(config)), config)
            add(tar, "manifest.json", json.dumps([{"Config": name.format(digest(config)), "RepoTags": None,
                                                   "Layers": [f"{number}.tar" for number in range(len(layers))]}]).encode())
        with removed(digest(config)):
            run(options=("--rootfs", path)).expect(0, b"ok\nok\n", b"")


@limit(900)
def test_files_in_memory_are_bounded_by_memory():
    """The number of files is no bound of its own: half of the memory has room for them, also over a directory."""
    for options in ((), ("--rootfs", "host")):
        lines = run("sh", "-c", "df -i /tmp; df -k /tmp", options=options).expect(0).stdout.decode().split("\n")
        inodes, kib = int(lines[1].split()[1]), int(lines[3].split()[1])
        assert 0.9 * kib < inodes < 1.1 * kib, (inodes, kib)
