# SPDX-License-Identifier: Apache-2.0
"""Cordon and its peers on the same work, in turns: docs/benchmarks.md says what is in each figure and what is not.

A peer that is not installed, fails, hangs or does something else than its work has a row that says so.
"""

import dataclasses
import difflib
import os
import shutil

from harness.model import Group, NotMeasured, Probe, Problem, Row
from peers import (bubblewrap, cloud_hypervisor, cordon, crun, firecracker, kvmtool, podman, process, qemu, qemu_snapshot,
                   runc)
from peers.start import beyond_guest, execute, still_runs
from suites import peers_lab

ALL = [process, bubblewrap, crun, runc, podman, qemu, qemu_snapshot, kvmtool, firecracker, cloud_hypervisor]
# What a guest must do within the limit. A panic must not look like the end of the work: the guest then stays.
CMDLINE = "panic=0 reboot=k"
PROOF = "the-command-ran"
PROGRAMS = ("true", "echo")
# Seconds: after which a peer counts as hanging, and that a guest which never ends must be seen running. In the lab
# everything takes longer, the first read of a program through its 9p above all.
LIMITS = {"null": 5, "command": 15, "boot": 20, "seen": 0.4}
LAB_FACTOR = 15


def chosen(names):
    """The peers that --peers names. Problem at an unknown name."""
    known = {peer.NAME: peer for peer in ALL}
    if names is None:
        return list(known.values())
    if names == "none":
        return []
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    for name in wanted:
        if name == "none":
            raise Problem(f"--peers none goes with no other name: there are {', '.join(known)}")
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            raise Problem(f"no peer '{name}': " + (f"did you mean '{near[0]}'? " if near else "")
                          + f"there are {', '.join(known)}, and none")
    return [peer for name, peer in known.items() if name in wanted]


@dataclasses.dataclass
class Work:
    """What every peer is given."""
    busybox: str
    root: str
    null: str
    null_flat: str
    null_off: str
    idle: str
    idle_flat: str
    kernel: str
    initrd: str
    waiting: str            # an initramfs with busybox, whose first program can wait for a command
    boot_limit: float       # seconds
    small: int = 64         # MiB of memory: of the null guest
    memory: int = 128       # and of the others
    cmdline: str = CMDLINE


def in_lab(bench, value):
    """The value if this is the lab, else None."""
    return value if bench.host.get("in_lab") else None


def limit(bench, kind):
    return LIMITS[kind] * (in_lab(bench, LAB_FACTOR) or 1)


def find_busybox():
    path = shutil.which("busybox")
    if not path:
        raise NotMeasured("busybox is not installed: Debian has it in busybox-static")
    return path


def make_root(path, busybox):
    """A root file system of one static program."""
    if not os.path.isdir(path):
        for name in ("bin", "dev", "proc", "sys", "tmp", "etc"):
            os.makedirs(os.path.join(path, name))
        shutil.copy2(busybox, os.path.join(path, "bin", "busybox"))
        for name in PROGRAMS:
            os.symlink("busybox", os.path.join(path, "bin", name))
    return path


def cpio_entry(name, mode, data=b"", device=(0, 0)):
    """An entry of an initramfs (Documentation/driver-api/early-userspace/buffer-format.rst of Linux)."""
    fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name) + 1, 0)
    out = b"070701" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
    out += bytes(-len(out) % 4) + data
    return out + bytes(-len(out) % 4)


def program_entry(name, path):
    with open(path, "rb") as file:
        return cpio_entry(name, 0o100755, file.read())


def make_initrd(path, first_program, busybox=None):
    if not os.path.exists(path):
        entries = [program_entry("init", first_program)]
        if busybox:
            entries += [cpio_entry("bin", 0o040755), program_entry("bin/busybox", busybox)]
            entries += [cpio_entry(f"bin/{name}", 0o120777, b"busybox") for name in (*PROGRAMS, "sh")]
            entries += [cpio_entry("dev", 0o040755), cpio_entry("dev/console", 0o020600, device=(5, 1))]
        with open(path, "wb") as file:
            file.write(b"".join(entries) + cpio_entry("TRAILER!!!", 0))
    return path


def find_kernel(bench):
    """The guest's kernel, in a build directory or as installed."""
    places = [os.path.join(bench.programs, "..", *names) for names in (("guest", "vmlinux"), ("vmlinux",))]
    for place in places:
        if os.path.exists(place):
            return os.path.realpath(place)
    raise NotMeasured("the guest's kernel is missing: run 'make' or install the package again")


def work_of(bench):
    """The work, made once a run."""
    busybox = find_busybox()
    return Work(busybox, make_root(bench.path("root"), busybox), bench.program("null.elf"), bench.program("null.bin"),
                bench.program("off.elf"), bench.program("idle.elf"), bench.program("idle.bin"), find_kernel(bench),
                make_initrd(bench.path("peers.cpio"), bench.program("peer-init")),
                make_initrd(bench.path("waiting.cpio"), bench.program("peer-init"), busybox), limit(bench, "boot"))


# --- checks before a figure counts ------------------------------------------------------------


def check_machine(bench, peer):
    """Whether the peer runs a guest that does not end, and ends with one that does."""
    work = work_of(bench)
    execute(bench, peer.null(bench, work), limit(bench, "null"))
    still_runs(bench, peer.idle(bench, work), limit(bench, "seen"))


def check_command(bench, peer):
    """Whether the peer runs a command: what it prints comes back."""
    work = work_of(bench)
    if hasattr(peer, "prepare"):
        peer.prepare(bench, work)
    _, out, _ = execute(bench, peer.command(bench, work, ["echo", PROOF]), limit(bench, "command"))
    # On a line of its own: a terminal shows the command, too, and the guest's kernel may have a last word.
    if PROOF.encode() not in out.replace(b"\r", b"").split(b"\n"):
        raise NotMeasured(f"{peer.TITLE} did not print what its command prints, but {out[:60]!r}")


# --- groups -----------------------------------------------------------------------------------


def title_of(peer, kind):
    return getattr(peer, "TITLES", {}).get(kind, peer.TITLE)


def probes_of(kind, peers, rounds, start_of, check, against=cordon):
    """A probe for Cordon and each peer that does this kind of work."""
    probes = []
    for peer in [cordon, *(peer for peer in peers if hasattr(peer, kind))]:
        row = Row(f"peers.{kind}.{peer.NAME}", title_of(peer, kind), "ms",
                  against="" if peer is against else f"peers.{kind}.{against.NAME}")

        def sample(bench, peer=peer, row=row):
            return {row.id: execute(bench, start_of(bench, peer), limit(bench, kind))[0] * 1e3}

        probes.append(Probe([row], sample, rounds, prepare=lambda bench, peer=peer: check(bench, peer)))
    return probes


def null_group(bench, peers):
    rounds = in_lab(bench, 5) or bench.size(40, quick=15)
    return Group("peers", "null-guest", "Null guest: two instructions, the second ends the machine; from exec to exit",
                 probes_of("null", peers, rounds, lambda b, peer: peer.null(b, work_of(b)), check_machine),
                 seconds=15, plot="bars", note="64 MiB of memory, one processor, no devices but those that cannot be left out.")


def boot_group(bench, peers):
    rounds = in_lab(bench, 3) or bench.size(20, quick=4, emulated=1 if bench.quick else 2)

    def check(b, peer):
        peer.boot(b, work_of(b))
        check_machine(b, peer)

    note = f"128 MiB, one processor, an initramfs of one program, command line: {CMDLINE}."
    if bench.emulated:
        note += " Where ring 0 is emulated most monitors cannot boot Linux: --lab measures them in an emulated machine."
    return Group("peers", "linux", "Boot of Cordon's guest kernel to its first program, which restarts the machine",
                 probes_of("boot", peers, rounds, lambda b, peer: peer.boot(b, work_of(b)), check),
                 seconds=12 * rounds + 20 if bench.emulated else 10, plot="bars",
                 note=note)


def command_group(bench, peers):
    rounds = in_lab(bench, 5) or bench.size(40, quick=8)
    return Group("peers", "command", "A command in a new sandbox: true of busybox; from exec to exit",
                 probes_of("command", peers, rounds, lambda b, peer: peer.command(b, work_of(b), ["true"]), check_command,
                           against=process),
                 seconds=20 if bench.quick else 60, plot="bars",
                 note="Processes share the host's kernel; only Cordon has one of its own for each sandbox.")


def memory_group(bench, peers):
    probes = []
    for peer in [cordon, *(peer for peer in peers if hasattr(peer, "idle"))]:
        row = Row(f"peers.memory.{peer.NAME}", title_of(peer, "memory"), "KiB",
                  against="" if peer is cordon else f"peers.memory.{cordon.NAME}")

        def sample(b, peer=peer, row=row):
            work = work_of(b)
            return {row.id: still_runs(b, peer.idle(b, work), limit(b, "seen"), lambda p: beyond_guest(p, work.memory * 1024))}

        probes.append(Probe([row], sample, in_lab(bench, 1) or 3, prepare=lambda b, peer=peer: check_machine(b, peer)))
    return Group("peers", "beyond", "Memory of the monitor beyond the guest's", probes, seconds=10, plot="bars",
                 note="Proportional set size of its processes while a guest of 128 MiB runs that touches one page.")


def groups(bench, options):
    peers = chosen(options.peers)
    if options.peers == "none":
        return []
    here = [group(bench, peers) for group in (null_group, boot_group, command_group, memory_group)]
    return here + (peers_lab.groups(here, options.peers) if bench.lab else [])
