# SPDX-License-Identifier: Apache-2.0
"""Templates: runs that need none, concurrent first runs, caches and files that are damaged."""
import json
import os
import shutil

import cordon
from cordon import call, in_namespace, run
from test_copies import HEADER, work


def cache(name):
    path = work(name)
    os.makedirs(path, exist_ok=True)
    return {"XDG_CACHE_HOME": path}


def templates(env):
    directory = os.path.join(env["XDG_CACHE_HOME"], "cordon", "templates")
    return sorted(name for name in os.listdir(directory) if name.endswith(".template")) if os.path.isdir(directory) else []


def test_default_options_need_no_template_of_their_own():
    """Options that give the default, one queue per device, need no template of their own."""
    env = cache("cache")
    call("run", "--", "true", env=env).expect(0, b"", b"")
    made = templates(env)
    assert len(made) == 1, made
    call("run", "--disk-queues", "1", "--net-queues", "1", "--", "true", env=env).expect(0, b"", b"")
    assert templates(env) == made


def test_a_template_has_nothing_of_its_first_sandbox():
    """The first run, which boots, has a served root and a share; copies of one without them want neither."""
    env, shared = cache("cache"), work("shared")
    os.makedirs(shared, exist_ok=True)
    call("run", "--rootfs", "host", "--share", f"{shared}:/w", "--", "true", env=env).expect(0, b"", b"")
    assert len(templates(env)) == 1, templates(env)
    call("start", "box", env=env).expect(0, b"", b"")
    try:
        call("snapshot", "box", work("snap"), env=env).expect(0, b"", b"")
    finally:
        call("kill", "box", env=env)
    try:
        call("restore", work("snap"), "again", env=env).expect(0, b"", b"")
        call("exec", "again", "--", "ls", "/w", env=env).expect(1)
    finally:
        call("kill", "again", env=env)


@cordon.limit(600)
def test_a_template_made_ahead():
    env = cache("ahead")
    call("template", "make", "-m", "128M", env=env).expect(0, b"128M 1 made\n", b"")
    call("template", "make", "-m", "128M", env=env).expect(0, b"128M 1 exists\n", b"")
    run("true", options=["-m", "128M"], env=env).expect(0)
    assert len(templates(env)) == 1, templates(env)
    call("template", "make", "-m", "1M", env=env).expect_error("memory", "64M")
    call("template", "make", "-c", "9", env=env).expect_error("cpus")


def own_kernel(name):
    path = work(name)
    shutil.copy(cordon.VMLINUX, path)
    return path


@cordon.limit(900)
def test_two_first_runs_at_once_then_a_rebuilt_kernel():
    env = cache("cache")
    kernel = own_kernel("vmlinux")
    options = ["--kernel", kernel, "--initrd", cordon.INITRAMFS]
    both = [cordon.start("echo", str(i), options=options, env=env) for i in range(2)]
    for i, process in enumerate(both):
        process.wait().expect(0, b"%d\n" % i, b"")
    assert len(templates(env)) == 1 and templates(env)[0].endswith(".template"), templates(env)
    # A dead writer's file is removed when the next template is made; a living writer's stays.
    directory = os.path.join(env["XDG_CACHE_HOME"], "cordon", "templates")
    assert os.stat(directory).st_mode & 0o777 == 0o700
    with open(os.path.join(directory, "dead.template.abc123"), "wb"):
        pass
    warm = run("echo", "warm", options=["--verbose", *options], env=env).expect(0, b"warm\n")
    assert b"template written" not in warm.stderr, repr(warm)
    # Installed again it is the same kernel; rebuilt, it is another.
    shutil.copy(cordon.VMLINUX, kernel + ".new")
    os.rename(kernel + ".new", kernel)
    again = run("echo", "again", options=["--verbose", *options], env=env).expect(0, b"again\n")
    assert b"template written" not in again.stderr, repr(again)
    with open(kernel, "ab") as file:
        file.write(b"\0")
    cold = run("echo", "new", options=["--verbose", *options], env=env).expect(0, b"new\n")
    assert b"template written" in cold.stderr, repr(cold)
    assert len(templates(env)) == 2, templates(env)
    listed = call("template", "ls", env=env).expect(0).stdout
    assert listed.count(b"\n") == 3 and listed.count(b" 256M    1  ") == 2 and b"stale" not in listed, listed
    # rm takes the beginning of a name; prune removes the rest.
    name = templates(env)[0]
    call("template", "rm", name[:6], env=env).expect(0)
    assert name not in templates(env)
    call("template", "rm", "nothing", env=env).expect_error("nothing")
    with open(os.path.join(directory, "0" * 16 + ".template"), "wb"):
        pass
    items = json.loads(call("template", "ls", "--json", env=env).expect(0).stdout)
    assert [item["stale"] for item in items] == [False, True] and items[0]["cpus"] == 1, items
    call("template", "prune", env=env).expect(0, b"1 removed\n", b"")
    assert templates(env) == [items[0]["name"]]
    call("template", "prune", "--all", env=env).expect(0, b"1 removed\n", b"")
    assert templates(env) == []


@cordon.limit(900)
def test_caches_that_do_not_work():
    """A cache on a full disk or blocked by a file: one warning, and it boots; one open to all users is not used."""
    full, blocked = cache("full"), cache("blocked")
    wrap = in_namespace(f"mount -t tmpfs -o size=4m tmpfs {full['XDG_CACHE_HOME']}")
    with open(os.path.join(blocked["XDG_CACHE_HOME"], "cordon"), "wb"):
        pass
    both = [cordon.start("echo", "fine", env=full, wrap=wrap),
            cordon.start("echo", "fine", env=blocked)]
    for process, word in zip(both, (b"No space left", b"cordon: not a directory")):
        result = process.wait().expect(0, b"fine\n")
        assert result.stderr.count(b"\n") == 1 and word in result.stderr, repr(result)
    # A directory that other users can write is not used.
    os.unlink(os.path.join(blocked["XDG_CACHE_HOME"], "cordon"))
    os.makedirs(os.path.join(blocked["XDG_CACHE_HOME"], "cordon", "templates"))
    os.chmod(os.path.join(blocked["XDG_CACHE_HOME"], "cordon", "templates"), 0o777)
    call("template", "ls", env=blocked).expect_error("no other user")


@cordon.limit(600)
def test_a_damaged_template():
    """A template with damaged state: one warning, and the sandbox boots; the new template works."""
    run("true").expect(0)                           # the shared cache has one
    source = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")),
                          "cordon", "templates")
    env = cache("damaged")
    directory = os.path.join(env["XDG_CACHE_HOME"], "cordon", "templates")
    os.makedirs(directory, mode=0o700)
    os.chmod(os.path.dirname(directory), 0o700)
    for name in os.listdir(source):
        if not name.endswith(".template"):
            continue
        with open(os.path.join(source, name), "rb") as file:
            data = bytearray(file.read())
        data[HEADER + 300] ^= 0x10
        with open(os.path.join(directory, name), "wb") as file:
            file.write(data)
    result = run("echo", "fine", env=env).expect(0, b"fine\n")
    assert result.stderr.count(b"\n") == 1 and b"checksum" in result.stderr, repr(result)
    run("echo", "fine", env=env).expect(0, b"fine\n", b"")
