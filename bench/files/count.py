#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Counts what operations on files cost the guest's kernel: its instructions, and its messages to the file server.

A sandbox runs in the lab (docs/lab.md), on a true kvm-amd that QEMU emulates; bench/boot/count.c, a plugin of that QEMU,
counts between the commands. Each operation is a command of its own, and what a command that does nothing costs is taken off,
but for those marked "all of it". The first of two lines is cold (the guest has not used these files before), the second warm.

The messages are calls of the guest kernel's functions that send them. "by interrupt" are those whose reply was not there when
their doorbell returned.

--profile DIR keeps the profile by kernel function of each count. --tree N counts git and tar in writable shares of N files and
in the guest's memory, which takes the longest; with --here on this host, where KVM counts what it emulates, and nothing else.
--kind KIND (strict, loose, tmpfs) counts only trees of that kind.

usage: bench/files/count.py [--build DIR] [--only shares|rootfs|tree] [--tree N [--kind KIND] [--here]] [--profile DIR]
"""

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [os.path.join(TOP, "bench"), os.path.join(TOP, "bench", "boot")]
import common  # noqa: E402  (found by the path above; SIGTERM cleans up)
import run as boot  # noqa: E402

FILES = 300
MADE = 100
LISTED = 100
SIZE = 4096
PER_DIRECTORY = 100
PYTHON = "/usr/bin/python3 -c pass"

# Messages by the functions of the guest's kernel that send one each. A FLUSH names the owner of locks, as SETLK and some
# RELEASE do, which do not happen here.
ALL = ("virtio_fs_enqueue_req", "virtio_fs_send_forget")
KINDS = {
    "LOOKUP": ["fuse_lookup_init.constprop.0", "fuse_lookup_init"], "GETATTR": ["fuse_do_getattr"], "STATX": ["fuse_do_statx"],
    "OPEN": ["fuse_send_open"], "CREATE": ["fuse_create_open"], "READ": ["fuse_readpages_end", "fuse_do_readpage"], "FLUSH": ["fuse_lock_owner_id"],
    "RELEASE": ["fuse_file_release"], "GETXATTR": ["fuse_getxattr"], "SETATTR": ["fuse_do_setattr"],
    "READLINK": ["fuse_readlink_page"], "READDIR": ["fuse_readdir_uncached"], "UNLINK": ["fuse_unlink"],
    "FORGET": ["virtio_fs_send_forget"],
}


def build_operations(tmp):
    """The static program."""
    path = os.path.join(tmp, "operations")
    source = os.path.join(TOP, "bench", "files", "operations.c")
    subprocess.run(["gcc", "-std=gnu11", "-O2", "-static", "-s", "-o", path, source], check=True)
    return path


def make_files(directory, count, prefix, size):
    os.makedirs(directory)
    for number in range(count):
        with open(os.path.join(directory, f"{prefix}{number}"), "wb") as file:
            file.write(b"x" * size)


def make_share(path):
    make_files(os.path.join(path, "stat"), FILES, "file-", 1)
    make_files(os.path.join(path, "read"), FILES, "file-", SIZE)
    make_files(os.path.join(path, "list"), LISTED, "name-", 1)
    os.mkdir(os.path.join(path, "made"))


class Script:
    """What L1 runs, and the titles of what is counted between its marks."""

    def __init__(self, build, tmp):
        self.cordon = shlex.quote(os.path.join(build, "cordon"))
        self.mark = shlex.quote(boot.build_mark(tmp))
        self.lines = ["set -e"]
        self.titles = []

    def do(self, *lines):
        self.lines += lines

    def begin(self):
        self.lines.append(self.mark)
        self.titles.append(None)

    def count(self, title, command):
        self.lines += [command, self.mark]
        self.titles.append(title)

    def exec(self, title, command):
        self.count(title, f"{self.cordon} exec counted -- {command}")


def shares(script, tmp, _files):
    """Operations in a read-only and in a writable share."""
    operations = build_operations(tmp)
    for name in "ro", "rw":
        make_share(os.path.join(tmp, name))
    shutil.copy(operations, os.path.join(tmp, "ro"))
    # The lab's files are the host's, by 9P: copies in L1's memory reply as a local disk does.
    script.do(f"mkdir -p /run/t && cp -rp {tmp}/ro {tmp}/rw /run/t/", "sleep 3",
              f"{script.cordon} start --memory 256M --share /run/t/ro:/ro:ro --share /run/t/rw:/rw counted",
              f"{script.cordon} exec counted -- /ro/operations none", f"{script.cordon} exec counted -- /ro/operations none")
    script.begin()
    script.exec("nothing", "/ro/operations none")
    for share, title in ("ro", "read-only"), ("rw", "writable"):
        for _ in "cold", "warm":
            script.exec(f"{title} share: stat {FILES} files", f"/ro/operations stat /{share}/stat {FILES}")
            script.exec(f"{title} share: open, read, close {FILES} files of {SIZE} bytes",
                        f"/ro/operations read /{share}/read {FILES}")
            script.exec(f"{title} share: list {LISTED} names, lstat each", f"/ro/operations list /{share}/list")
    for what, title in ("make", "create"), ("write", "create, write a byte to"):
        script.exec(f"writable share: {title} {MADE} files", f"/ro/operations {what} /rw/made {MADE}")
        script.exec(f"writable share: unlink {MADE} files", f"/ro/operations unlink /rw/made {MADE}")
    script.do(f"{script.cordon} kill counted")


def rootfs(script, _tmp, _files):
    """Python of the host's root file system, served."""
    options = "--memory 256M --rootfs host"
    script.do(f"{script.cordon} run {options} -- {PYTHON}")
    script.begin()
    script.count("run --rootfs host -- python3 -c pass, all of it", f"{script.cordon} run {options} -- {PYTHON}")
    script.count("run --rootfs host -- true, all of it", f"{script.cordon} run {options} -- /bin/true")
    script.count("run -- true, all of it", f"{script.cordon} run --memory 256M -- true")
    script.do(f"{script.cordon} start {options} counted")
    script.begin()
    for _ in range(3):
        script.exec("exec -- python3 -c pass with --rootfs host, all of it", PYTHON)
    script.exec("exec -- true with --rootfs host, all of it", "/bin/true")
    script.do(f"{script.cordon} kill counted")


def make_tree(top, files):
    """A repository of small files, all committed and packed."""
    for first in range(0, files, PER_DIRECTORY):
        directory = os.path.join(top, f"d{first // PER_DIRECTORY}")
        os.makedirs(directory)
        for number in range(first, min(first + PER_DIRECTORY, files)):
            with open(os.path.join(directory, f"f{number}"), "w", encoding="ascii") as file:
                file.write(f"{number}\n" * 20)
    git = ["git", "-C", top, "-c", "user.name=bench", "-c", "user.email=b@example.com", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q", "--template="], ["add", "-A"], ["commit", "-q", "-m", "all"], ["gc", "-q"]):
        subprocess.run([*git, *command], check=True)


# What is done in a tree, in this order. git has recorded the files as they were before they were copied, so it reads them once.
TREE = (("git status, files read", "/usr/bin/git -C {} status --porcelain"), ("git status", "/usr/bin/git -C {} status --porcelain"),
        ("tar, contents cached", "/usr/bin/tar -cf /dev/zero --exclude=./.git -C {} ."))
PROGRAMS = ("/usr/bin/git --version", "/usr/bin/tar --version")
# Where trees are: options of the share, where the tree is in the guest, how it gets there. (What an archive costs differs less
# from one run to the next than copies of as many files.)
TREES = {"strict": ("", "/w", None), "loose": (":cache=loose", "/w", None), "tmpfs": (":ro", "/tmp/w", "/usr/bin/tar -C /tmp -xf /w/w.tar")}


def make_source(top, files, prepare):
    """What is shared: a tree, or an archive of one. A copy is needed where git is to read the files."""
    make_tree(os.path.join(top, "w"), files)
    if prepare:
        os.mkdir(os.path.join(top, "packed"))
        subprocess.run(["tar", "-C", top, "-cf", os.path.join(top, "packed", "w.tar"), "w"], check=True)
    return os.path.join(top, "packed" if prepare else "w")


def tree(script, tmp, files):
    """git and tar of the host in writable shares, and in the guest's memory."""
    for kind, (options, place, prepare) in TREES.items():
        top = make_source(os.path.join(tmp, kind), files, prepare)
        # The lab's files are the host's, by 9P: copies in L1's memory reply as a local disk does.
        script.do(f"mkdir -p /run/t && cp -rp {top} /run/t/{kind}", "sleep 3",
                  f"{script.cordon} start --memory 512M --rootfs host --share /run/t/{kind}:/w{options} counted",
                  *(f"{script.cordon} exec counted -- {command}" for command in PROGRAMS))
        if prepare:
            script.do(f"{script.cordon} exec counted -- {prepare}")
        script.begin()
        for what, command in TREE:
            script.exec(f"{kind}: {what}, {files} files, all of it", command.format(place))
        script.do(f"{script.cordon} kill counted", f"rm -r /run/t/{kind}")


def tree_here(build, files):
    """What `tree` counts, on this host, whose KVM emulates ring 0 and counts what it emulates. Each figure is the difference of
    two runs that differ in their last command."""
    cordon = os.path.join(build, "cordon")
    print("| operation | emulated, M | messages |\n|---|---|---|")
    for kind, (options, place, prepare) in TREES.items():
        before = None
        for last in range(len(TREE) + 1):
            commands = [*PROGRAMS, *([prepare] if prepare else []), *(command.format(place) for _, command in TREE[:last])]
            with tempfile.TemporaryDirectory(prefix="cordon-files.") as tmp:
                shutil.copytree(make_source(os.path.join(tmp, "made"), files, prepare), os.path.join(tmp, "tree"))
                counted = report_here([cordon, "run", "--verbose", "--memory", "512M", "--rootfs", "host", "--share",
                                       f"{tmp}/tree:/w{options}", "--", "sh", "-ec", "\n".join(commands)])
            if before:
                title = f"{kind}: {TREE[last - 1][0]}, {files} files"
                print(f"| {title} | {(counted[0] - before[0]) / 1e6:.1f} | {counted[1] - before[1]} |", flush=True)
            before = counted


def report_here(command):
    """(emulated instructions, requests to the file server) of a run."""
    text = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                          check=True).stderr
    emulated, requests = (re.search(pattern, text) for pattern in (r"KVM insn_emulation (\d+)", r"file system requests (\d+)"))
    if not emulated:
        sys.exit("bench/files: this host does not emulate ring 0")
    return int(emulated[1]), int(requests[1]) if requests else 0


def parse(path):
    """(instructions of the kernel, of programs, calls by function)"""
    calls = {}
    with open(path, encoding="ascii") as file:
        total = int(file.readline().split()[1])
        programs = int(file.readline().split()[1])
        for line in file:
            _self, _inclusive, count, name = line.split()
            calls[name] = calls.get(name, 0) + int(count)
    return total - programs, programs, calls


def messages(calls):
    """(number, text with the kinds, the most frequent first)"""
    number = sum(calls.get(name, 0) for name in ALL)
    kinds = {kind: sum(calls.get(name, 0) for name in names) for kind, names in KINDS.items()}
    text = [f"{kind} {count}" for kind, count in sorted(kinds.items(), key=lambda item: -item[1]) if count]
    late = calls.get("virtio_fs_requests_done_work", 0)
    return number, ", ".join(text) + (f"; by interrupt {late}" if late else "")


def report(titles, each):
    """Prints the table. "nothing" is taken off what follows it, but for what says "all of it"."""
    nothing = 0
    print("| operation | kernel, M | messages | of these |\n|---|---|---|---|")
    for number, title in enumerate(titles, 1):
        if not title or not os.path.exists(f"{each}.{number}"):
            continue
        kernel, _, calls = parse(f"{each}.{number}")
        if title == "nothing":
            nothing = kernel
        elif "all of it" not in title:
            kernel -= nothing
        count, kinds = messages(calls)
        print(f"| {title} | {kernel / 1e6:.2f} | {count} | {kinds} |", flush=True)


def main():
    groups = {"shares": shares, "rootfs": rootfs, "tree": tree}
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--build", default=common.BUILD)
    parser.add_argument("--only", choices=groups, help="one group of operations")
    parser.add_argument("--tree", type=int, default=0, metavar="N", help="files of the tree for git and tar (none)")
    parser.add_argument("--kind", choices=TREES, help="only trees of this kind")
    parser.add_argument("--here", action="store_true", help="count the tree by this host's KVM")
    parser.add_argument("--profile", metavar="DIR", help="keep the profile of each count here")
    args = parser.parse_args()

    if args.kind:
        for kind in [*TREES]:
            if kind != args.kind:
                del TREES[kind]
    build = os.path.abspath(args.build)
    if args.here:
        tree_here(build, args.tree or 1000)
        return
    kernel = os.path.realpath(os.path.join(build, "guest", "vmlinux"))
    plugin = boot.build_plugin(build)
    for name, group in groups.items():
        if args.only not in (None, name) or (name == "tree" and not args.tree):
            continue
        with tempfile.TemporaryDirectory(prefix="cordon-files.") as tmp:
            script = Script(build, tmp)
            group(script, tmp, args.tree)
            path = os.path.join(tmp, "script")
            with open(path, "w", encoding="utf-8") as file:
                file.write("\n".join(script.lines) + "\n")
            each = os.path.join(tmp, "count")
            options = (f"file={plugin},mark={boot.MARK:x},out={os.path.join(tmp, 'least')},each={each},"
                       f"map={os.path.join(os.path.dirname(kernel), 'System.map')}")
            done = subprocess.run([os.path.join(TOP, "tests", "lab", "run.sh"), "--icount", "--timeout", "3600",
                                   "--qemu-arg=-plugin", f"--qemu-arg={options}", "--", "sh", path],
                                  stdout=sys.stderr, check=False)
            # The first mark ends no count.
            report(script.titles[1:], each)
            if args.profile:
                os.makedirs(args.profile, exist_ok=True)
                for number, title in enumerate(script.titles[1:], 1):
                    if title and os.path.exists(f"{each}.{number}"):
                        shutil.copy(f"{each}.{number}", os.path.join(args.profile, f"{name}.{number}"))
        if done.returncode != 0:
            sys.exit(f"bench/files: the run in the lab ended with {done.returncode}")


if __name__ == "__main__":
    main()
