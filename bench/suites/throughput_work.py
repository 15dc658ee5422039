# SPDX-License-Identifier: Apache-2.0
"""What people do in a sandbox: the host's programs start from its root file system, git, tar and npm work in a share."""

import os
import shutil
import time

from harness.model import Group, NotMeasured, Probe, Row
from suites import figures
from suites.registry import Registry

BOX = "bench-work"
PER_DIRECTORY = 100     # files
PATH = "/usr/bin:/bin"
SLOW = "takes minutes where ring 0 is emulated"
# Program: package, arguments, what it does.
PROGRAMS = {
    "python3": ("python3", ["-c", "pass"], "python3 -c pass"),
    "node": ("nodejs", ["-e", "0"], "node -e 0"),
    "gcc": ("gcc", ["-x", "c", "-c", "/dev/null", "-o", "/tmp/bench.o"], "gcc, an empty file"),
}


def need(name, package):
    """The path of a program that the sandbox has at the same place."""
    path = shutil.which(name, path=PATH)
    if not path:
        raise NotMeasured(f"{name} is not installed: Debian has it in {package}")
    return path


def timed(bench, argv, **options):
    """Milliseconds that a command takes as a process of the host, and its output."""
    seconds, out, _ = bench.run(argv, **options)
    return seconds * 1e3, out


def timed_exec(bench, argv, directory="/", timeout=600):
    """Milliseconds that a command takes in the sandbox, from outside, and its output."""
    seconds, out, _ = bench.run_cordon("exec", "-w", directory, BOX, "--", *argv, timeout=timeout)
    return seconds * 1e3, out


def end_box(bench):
    bench.run_cordon("kill", BOX, timeout=30)


# --- programs of the host ---------------------------------------------------------------------

def program_probe(bench, name, package, arguments, title):
    first, again, host = (Row(f"throughput.rootfs.{name}.{when}", f"{title}: {text}", "ms",
                              against="" if when == "host" else f"throughput.rootfs.{name}.host")
                          for when, text in (("first", "first time"), ("again", "again"), ("host", "on the host")))
    rows = [first, again, host]
    if bench.emulated and (bench.quick or name != "python3"):
        return figures.missing(rows, SLOW + (": run without --quick" if name == "python3" else ""))

    def prepare(b):
        need(name, package)
        figures.template_once(b)

    def sample(b):
        argv = [need(name, package), *arguments]
        b.run_cordon("start", "--rootfs", "host", "--memory", "512M", BOX)
        try:
            # In turns, so that the host's load meets all of them.
            return {first.id: timed_exec(b, argv)[0], host.id: timed(b, argv)[0], again.id: timed_exec(b, argv)[0]}
        finally:
            end_box(b)

    return Probe(rows, sample, bench.size(8, quick=3, emulated=1), prepare=prepare)


def programs_group(bench):
    probes = [program_probe(bench, name, *rest) for name, rest in PROGRAMS.items()]
    return Group("throughput", "rootfs", "Programs of the host's root file system (--rootfs host)", probes,
                 seconds=(1 if bench.quick else 240) if bench.emulated else 10 if bench.quick else 40, plot="bars",
                 note="The first time the program comes through the file server, again from the guest's cache. "
                      "Times are those of 'cordon exec' as a whole.")


# --- git and tar ------------------------------------------------------------------------------

COMMANDS = {"git": ("git status", "git status --porcelain | wc -l"), "tar": ("tar", "tar -cf - --exclude=./.git . | wc -c")}


def make_tree(bench, top, files):
    """Small files under version control, all committed."""
    for number in range(files):
        directory = os.path.join(top, f"d{number // PER_DIRECTORY}")
        os.makedirs(directory, exist_ok=True)
        with open(os.path.join(directory, f"f{number}"), "w", encoding="ascii") as file:
            file.write(f"{number}\n" * 20)
    git = (need("git", "git"), "-C", top, "-c", "user.name=bench", "-c", "user.email=b@example.com",
           "-c", "commit.gpgsign=false")
    for command in (("init", "-q", "--template="), ("add", "-A"), ("commit", "-q", "-m", "all"), ("gc", "-q")):
        bench.run([*git, *command])


def tree_group(bench):
    files = bench.size(2000, quick=200, emulated=10)
    rows = {name: figures.twin(f"throughput.share.{name}", f"{title}, {files:,} files", "ms", "on the host")
            for name, (title, _) in COMMANDS.items()}
    title = "git and tar in a share"
    if bench.emulated and bench.quick:
        return Group("throughput", "tree", title, [figures.missing(both, SLOW + ": run without --quick") for both in rows.values()],
                     seconds=0.1)

    def prepare(b):
        top = b.path("tree")
        make_tree(b, top, files)
        figures.template_once(b)
        b.run_cordon("start", "--rootfs", "host", "--memory", "512M", "--share", f"{top}:{top}", BOX)
        # Its programs come into the guest's cache; and git, whose index was written on the host, reads all files once.
        for _, command in COMMANDS.values():
            timed_exec(b, ["sh", "-c", command], top)

    def sample(b, name):
        top = b.path("tree")
        command = ["sh", "-c", COMMANDS[name][1]]
        host, expected = timed(b, command, cwd=top)
        guest, out = timed_exec(b, command, top)
        if out != expected:
            raise NotMeasured(f"{name} saw other files in the sandbox than on the host")
        return {rows[name][0].id: guest, rows[name][1].id: host}

    def finish(b):
        shutil.rmtree(b.path("tree"), ignore_errors=True)
        end_box(b)

    probes = [Probe(both, lambda b, name=name: sample(b, name), bench.size(10, quick=3, emulated=1)) for name, both in rows.items()]
    probes[0].prepare, probes[0].finish = prepare, finish
    return Group("throughput", "tree", title, probes, seconds=240 if bench.emulated else 5 if bench.quick else 25, plot="ratios",
                 note="Programs are in the guest's cache, the files of the share are not.")


# --- npm --------------------------------------------------------------------------------------

def npm_group(bench):
    packages = bench.size(60, quick=15)
    rows = figures.twin("throughput.share.npm", f"npm install, {packages} packages from a registry of this host", "ms", "on the host")
    title = "npm install in a share"
    if bench.emulated:
        return Group("throughput", "npm", title, [figures.missing(rows, SLOW)], seconds=0.1)
    parts = {}

    def install(registry, cache):
        # Nothing of the user's settings: another registry, a proxy.
        return ["env", "-i", f"HOME={cache}", f"PATH={PATH}", need("npm", "npm"), "install", "--registry", registry,
                "--cache", f"{cache}/npm", "--no-audit", "--no-fund", "--no-update-notifier", "--ignore-scripts"]

    def prepare(b):
        need("npm", "npm")
        figures.template_once(b)
        registry = parts["registry"] = Registry(packages)
        for name in ("npm-guest", "npm-host"):
            os.makedirs(b.path(name))
            with open(b.path(name, "package.json"), "w", encoding="ascii") as file:
                file.write('{"name": "app", "version": "1.0.0", "dependencies": {"p0": "1.0.0"}}\n')
        top = b.path("npm-guest")
        with open(b.path("npm.policy"), "w", encoding="utf-8") as file:
            file.write(f"policy 1\nshare {top} {top}\nfile write {top}/**\nnet allow tcp host:{registry.port}\n")
        b.run_cordon("start", "--rootfs", "host", "--memory", "1G", "--policy", b.path("npm.policy"), BOX)

    def clean(b):
        for name in ("npm-guest", "npm-host"):
            for made in ("node_modules", "package-lock.json"):
                path = b.path(name, made)
                (shutil.rmtree if os.path.isdir(path) else os.unlink)(path)

    def sample(b):
        port, number = parts["registry"].port, time.monotonic_ns()
        host, _ = timed(b, install(f"http://127.0.0.1:{port}/", b.path(f"npm-cache-{number}")), cwd=b.path("npm-host"))
        guest, _ = timed_exec(b, install(f"http://host:{port}/", f"/tmp/npm-{number}"), b.path("npm-guest"))
        if not os.path.exists(b.path("npm-guest", "node_modules", f"p{packages - 1}", "index.js")):
            raise NotMeasured("npm installed nothing")
        clean(b)
        return {rows[0].id: guest, rows[1].id: host}

    def finish(b):
        if "registry" in parts:
            parts["registry"].close()
        end_box(b)

    return Group("throughput", "npm", title, [Probe(rows, sample, bench.size(5, quick=2), prepare=prepare, finish=finish)],
                 seconds=15 if bench.quick else 45, note="Each time into an empty directory, with an empty cache.")


def groups(bench, _options):
    return [tree_group(bench), npm_group(bench), programs_group(bench)]
