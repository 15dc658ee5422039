# SPDX-License-Identifier: Apache-2.0
"""Large programs whose files are in a share: a database, package managers, a copier, compilers, a version control
system. Programs come from an image, because each operation of a served root takes long where ring 0 is emulated."""
import functools
import glob
import http.server
import os
import subprocess
import sys
import threading
from contextlib import contextmanager

import cordon
from cordon import limit, many, run, work, write
from images import host_image, tree
from sandboxes import execute, sandbox
from test_network_programs import MODULES, PYTHON, wheel

sys.path.insert(0, os.path.join(cordon.TOP, "bench", "suites"))
import registry  # noqa: E402  (found by the path above)

SHELL = [f"/usr/bin/{name}" for name in ("cat", "chown", "cp", "env", "ls", "mkdir", "rm", "sleep", "stat", "touch")]
GIT = {f"GIT_{who}_{what}": "a@example.com" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def image(*programs, trees=(), copies=()):
    """A root file system with programs of the host."""
    for path in (*programs, *trees, *dict(copies).values()):
        if not os.path.exists(path):
            raise cordon.Skip(f"needs {path}")
    return host_image(("/bin/sh", *SHELL, *programs), trees, dict(copies))


def top(name="top"):
    os.makedirs(work(name), exist_ok=True)
    return work(name)


def settings(**variables):
    return [word for name, value in variables.items() for word in ("-e", f"{name}={value}")]


# --- a database ---------------------------------------------------------------------------------------

def postgres(*command):
    """Run a command as the database's user, in the share."""
    return execute("box", *command, options=("-u", "postgres", "-w", "/work"))


@limit(3600)
def test_share_programs_postgres():
    """Postgres as a user of the sandbox: its directory, socket and mapped memory in a share; transactions outlive a kill."""
    cordon.need_whole()
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"))
    if not found:
        raise cordon.Skip("needs Postgres and its contributed programs")
    place = os.path.dirname(os.path.dirname(found[-1]))
    tools = [f"{place}/bin/{name}" for name in ("initdb", "postgres", "pg_ctl", "pg_checksums", "psql", "pgbench")]
    root = image(*tools, trees=(place + "/lib", place.replace("/lib/", "/share/", 1), "/usr/share/zoneinfo"))
    serve = [f"{place}/bin/pg_ctl", "-D", "data", "-w", "-t", "1800", "-l", "log", "-o",
             "-k /work -c listen_addresses= -c shared_buffers=16MB", "start"]
    sums = ("select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history), "
            "count(*) from pgbench_history")
    ask = [f"{place}/bin/psql", "-h", "/work", "-Atc", sums, "postgres"]
    with sandbox("box", "--rootfs", root, "-m", "1G", "--share", f"{top()}:/work"):
        execute("box", "sh", "-c", "echo postgres:x:1000:1000::/tmp:/bin/sh >>/etc/passwd; chown 1000:1000 /work").expect(0)
        postgres(f"{place}/bin/initdb", "-D", "data", "-k", "--locale=C", "-A", "trust").expect(0)
        postgres("stat", "-c", "%a %u", "data", "data/PG_VERSION").expect(0, b"700 1000\n600 1000\n")
        postgres(*serve).expect(0)
        postgres(f"{place}/bin/pgbench", "-q", "-h", "/work", "-i", "postgres").expect(0)
        postgres(f"{place}/bin/pgbench", "-n", "-h", "/work", "-c", "4", "-t", "25", "postgres").expect(0)
        postgres(*ask).expect(0, b"t|100\n")
        # The database reads its log, and has all that was committed. It starts once the last process of the killed one ends.
        script = 'read pid <data/postmaster.pid && kill -9 -$pid && rm .s.* data/postmaster.pid && until "$@"; do sleep 1; done'
        postgres("sh", "-c", script, "sh", *serve).expect(0)
        postgres(*ask).expect(0, b"t|100\n")
        postgres(f"{place}/bin/pg_ctl", "-D", "data", "-w", "-t", "1800", "stop").expect(0)
        postgres(f"{place}/bin/pg_checksums", "-D", "data", "-c").expect(0)
    with open(work("top/log"), encoding="utf-8") as log:
        assert "automatic recovery in progress" in (text := log.read()) and "PANIC" not in text, text


# --- package managers ---------------------------------------------------------------------------------

@contextmanager
def packages(*args, **keywords):
    served = registry.Registry(*args, **keywords)
    try:
        yield served
    finally:
        served.close()


def allowed(served):
    """Options with a policy that allows the registry on the host's loopback."""
    return ["--policy", write("policy", f"policy 1\nnet allow tcp host:{served.port}\n")]


@limit(3600)
def test_share_programs_npm():
    """npm installs packages of a registry on the host's loopback into a share, each whole; then there is nothing to do."""
    cordon.need_whole()
    count = many(30, 300)
    root = image("/usr/bin/node", "/usr/bin/npm", "/usr/bin/wc", trees=("/usr/lib/node_modules/npm",))
    with packages(count, files=4, size=900) as served:
        install = (f"npm install --registry http://host:{served.port}/ --no-audit --no-fund --no-update-notifier "
                   "--fetch-retries 0 p0")
        write("top/package.json", "{}\n")
        result = run("sh", "-c", f"cd /work; {install}; {install}; npm ls --all --parseable | wc -l", options=[
            "--rootfs", root, "-m", "1G", "-e", "HOME=/work/home", *allowed(served), "--share", f"{top()}:/work"]).expect(0)
        lines = result.stdout.decode().splitlines()
        assert f"added {count} packages" in result.stdout.decode() and "up to date" in result.stdout.decode(), result
        assert lines[-1] == str(count + 1), result
        for name in served.packages:
            assert sorted(os.listdir(work(f"top/node_modules/{name}"))) == ["index.js", "lib", "package.json"], name
            assert all(os.path.getsize(path) == 900 for path in glob.glob(work(f"top/node_modules/{name}/lib/*"))), name


@contextmanager
def index(directory):
    """Serve a directory on the host's loopback."""
    handler = functools.partial(Quiet, directory=directory)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.port, server.daemon_threads = server.server_address[1], True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@limit(3600)
def test_share_programs_pip():
    """pip installs wheels of an index on the host's loopback into a share: modules, compiled ones, commands."""
    cordon.need_whole()
    found = glob.glob("/usr/share/python-wheels/pip-*.whl")
    if not found:
        raise cordon.Skip("needs python3-pip-whl")
    names = [f"pack{number}" for number in range(10)]
    for name in names:
        wheel(name, {f"{name}_more/m{number}.py": f"value = {number}\n" for number in range(10)})
    root = image(PYTHON, trees=(MODULES,), copies={"/pip.whl": found[0]})
    with index(work("servers/site")) as served:
        install = ("env/bin/python3 /pip.whl/pip install -q --disable-pip-version-check --no-cache-dir --retries 0 "
                   f"-i http://host:{served.port}/simple/ --trusted-host host --root-user-action ignore {' '.join(names)}")
        script = (f"cd /work; python3 -m venv --without-pip env && {install} && "
                  "env/bin/python3 -c 'import pack3, pack7_more.m4' && env/bin/pack5")
        run("sh", "-c", script, options=["--rootfs", root, "-m", "512M", *allowed(served), "--share", f"{top()}:/work"]
            ).expect(0, b"pack3 works\npack5 works\n", b"")
    assert len(glob.glob(work("top/env/lib/*/site-packages/*/__pycache__/*.pyc"))) == 100
    assert os.stat(work("top/env/bin/pack5")).st_mode & 0o777 == 0o755


# --- copies, builds, repositories ---------------------------------------------------------------------

def source_tree(path, count):
    """Files of several sizes, links, times and modes."""
    for number in range(count):
        place = f"{path}/d{number % 7}/e{number % 3}"
        os.makedirs(place, exist_ok=True)
        with open(f"{place}/f{number}", "wb") as file:
            file.write(cordon.pattern(number * 331 % 20000, number + 1))
        os.chmod(file.name, 0o755 if number % 5 == 0 else 0o640)
        os.utime(file.name, ns=(10**18 + number, 10**18 + number))
    os.symlink("e0/f0", f"{path}/d0/link")
    os.link(f"{path}/d0/e0/f0", f"{path}/d1/hard")


@limit(900)
def test_share_programs_rsync():
    """rsync -a copies a tree between shares; then it changes what differs, in place, and removes what is gone."""
    cordon.need_program("rsync")
    source_tree(work("from"), many(12, 1000))
    with sandbox("box", "--rootfs", image("/usr/bin/rsync"), "-m", "512M", "--share", f"{work('from')}:/from:ro",
                 "--share", f"{top()}:/work"):
        execute("box", "rsync", "-aH", "/from/", "/work/a/").expect(0, b"", b"")
        assert tree(work("top/a")) == tree(work("from")), "another tree"
        write("top/a/extra/file", "")
        write("top/a/d1/e1/f1", "other\n")
        os.unlink(work("top/a/d2/e2/f2"))
        os.chmod(work("top/a/d3/e0/f3"), 0o600)
        result = execute("box", "rsync", "-aHi", "--delete", "--inplace", "--no-whole-file", "/from/", "/work/a/")
        result.expect(0, stderr=b"")
        seen = sorted(line.split() for line in result.stdout.decode().splitlines() if not line.endswith("/"))
        assert seen == [["*deleting", "extra/file"], [".f...p.....", "d3/e0/f3"], [">f+++++++++", "d2/e2/f2"],
                        [">f.st......", "d1/e1/f1"]], result
        assert tree(work("top/a")) == tree(work("from")), "another tree"
    subprocess.run(["diff", "-r", work("from"), work("top/a")], check=True)
    assert os.path.samefile(work("top/a/d0/e0/f0"), work("top/a/d1/hard"))


def history(path, files, commits):
    """A repository with so many files and commits, made by git itself from a stream of them."""
    stream = []
    for number in range(commits):
        text = f"commit {number}\n"
        stream.append(f"commit refs/heads/main\ncommitter a <a@example.com> {10**9 + number} +0000\ndata {len(text)}\n{text}")
        for at in range(files if number == 0 else 5):
            at = (at * 37 + number) % files
            text = f"file {at}\n" * (at % 50 + 1) + f"{number}\n"
            stream.append(f"M 100644 inline d{at % 20}/f{at}\ndata {len(text)}\n{text}")
    subprocess.run(["git", "init", "-q", "-b", "main", path], check=True)
    subprocess.run(["git", "-C", path, "fast-import", "--quiet"], input="\n".join(stream).encode(), check=True)


@limit(3600)
def test_share_programs_git():
    """A repository with a history: cloned, checked, packed anew and worked in; the host's git finds it whole."""
    cordon.need_whole()
    files, commits = many((100, 20), (1000, 200))
    history(work("from/a"), files, commits)
    script = f"""export HOME=/tmp; git config --global safe.directory '*'; cd /work
        git clone -q --no-local /from/a b && cd b && git fsck --strict --no-progress && git status --porcelain
        git log --oneline | wc -l; git gc -q; git count-objects -v | grep ^count; rm -r d1; git status --porcelain | wc -l
        git checkout -q .; git status --porcelain; git checkout -q HEAD~{commits // 2}; git checkout -q main
        git worktree add -q ../w HEAD~3; echo x >d2/f2; git commit -qam one; git rebase -q HEAD~1; git repack -qadf
        git fsck --strict --no-progress"""
    root = image("/usr/bin/git", "/usr/bin/git-upload-pack", "/usr/bin/wc", "/usr/bin/grep",
                 trees=("/usr/share/git-core/templates",))
    shares = ["--share", f"{work('from')}:/from:ro", "--share", f"{top()}:/work"]
    result = run("sh", "-c", script, options=["--rootfs", root, "-m", "512M", *settings(**GIT), *shares])
    result.expect(0, b"%d\ncount: 0\n%d\n" % (commits, files // 20))
    # The host's user is told of repositories that the sandbox has made.
    warnings = result.stderr.decode().splitlines()
    assert len(warnings) == 2 and all("its .git has appeared" in line for line in warnings), result
    for command in (["fsck", "--strict", "--no-progress"], ["status", "--porcelain"]):
        seen = subprocess.run(["git", "-c", "safe.directory=*", "-C", work("top/b"), *command], check=True, capture_output=True)
        assert seen.stdout == b"", seen


@limit(3600)
def test_share_programs_make():
    """make -j compiles and links with several compilers at once; a second make finds nothing to do."""
    cordon.need_whole()
    cordon.need_program("gcc", "make")
    names = [f"part{number}" for number in range(20)]
    for number, name in enumerate(names):
        write(f"top/{name}.c", f'#include "all.h"\nint {name}(int n) {{ return n + {number}; }}\n')
    write("top/all.h", "".join(f"int {name}(int n);\n" for name in names))
    write("top/main.c", '#include "all.h"\nint main(void)\n{\n\tint sum = 0;\n' +
          "".join(f"\tsum = {name}(sum);\n" for name in names) + "\treturn sum;\n}\n")
    write("top/Makefile", "CFLAGS = -MMD -O1\nobjects = main.o " + " ".join(f"{name}.o" for name in names) +
          "\nall: $(objects)\n\t$(CC) -o $@ $^\n-include $(objects:.o=.d)\n")
    script = "cd /work; make -s -j8 CC=gcc; ./all; echo $?; make CC=gcc; touch all.h; make -j8 CC=gcc | grep -c -- -c"
    run("sh", "-c", script, options=["--rootfs", "host", "-m", "1G", "--share", f"{top()}:/work"]).expect(
        0, b"190\nmake: 'all' is up to date.\n21\n", b"")
