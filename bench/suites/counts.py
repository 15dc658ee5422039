# SPDX-License-Identifier: Apache-2.0
"""Counts: guest instructions, KVM exits, system calls and bytes of the monitor. They move little between runs.

Guest instructions are counted in the lab, an emulated machine whose time counts instructions (docs/lab.md),
from a source tree. bench/limits.py watches the counts.
"""

import json
import os
import re

from harness.context import find_program
from harness.model import Group, NotMeasured, Probe, Row

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
LAB_SECONDS = 900
# Calls whose result is a number of bytes that the kernel copied.
COPIES = {"read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev", "preadv2", "pwritev2", "sendmsg",
          "recvmsg", "sendto", "recvfrom", "sendfile", "splice", "copy_file_range"}
CALL = re.compile(r"^\d+ +(?:<\.\.\. )?([a-z_0-9]+)(?:\(| resumed>)")
RESULT = re.compile(r"= (-?\d+)(?: |$)")


def lab_count(bench, *args):
    """What bench/boot/run.py counts in the lab, as {instructions, programs}."""
    script = os.path.join(TOP, "bench", "boot", "run.py")
    if not os.path.exists(script):
        raise NotMeasured("the lab is not part of the installed package: run this in a source tree")
    find_program("qemu-system-x86_64", "qemu-system-x86")
    build = os.path.dirname(bench.cordon)
    _, out, _ = bench.run(["python3", script, "--build", build, "--json", *args], timeout=LAB_SECONDS)
    return json.loads(out)


def boot_probe():
    row = Row("counts.boot", "guest instructions of a boot, kernel's entry to agent", "instructions")
    return Probe([row], lambda b: {row.id: lab_count(b)["instructions"]}, rounds=1, counts=True)


def programs_probe(what, title, *args):
    rows = [Row(f"counts.{what}.kernel", f"{title}: the guest kernel's instructions", "instructions"),
            Row(f"counts.{what}.programs", f"{title}: instructions of its programs", "instructions")]

    def sample(bench):
        counted = lab_count(bench, *args)
        return {rows[0].id: counted["instructions"] - counted["programs"], rows[1].id: counted["programs"]}

    return Probe(rows, sample, rounds=1, counts=True)


def parse_trace(text):
    """(number of system calls, bytes copied by them) from what `strace -f` wrote."""
    calls = copied = 0
    for line in text.splitlines():
        call = CALL.match(line)
        if not call:
            continue                    # a signal, an exit
        if "resumed>" not in line[:60]:
            calls += 1
        result = RESULT.search(line)
        if call[1] in COPIES and result and int(result[1]) > 0:
            copied += int(result[1])
    return calls, copied


def trace_probe():
    rows = [Row("counts.calls", "run -- true from a template: the monitor's system calls", "count"),
            Row("counts.copied", "run -- true from a template: bytes copied by system calls", "bytes")]

    def sample(bench):
        path = bench.path("trace")
        bench.run([find_program("strace", "strace"), "-f", "-qq", "-o", path, bench.cordon, "run", "--", "true"], timeout=120)
        with open(path, encoding="utf-8", errors="replace") as file:
            calls, copied = parse_trace(file.read())
        return {rows[0].id: calls, rows[1].id: copied}

    return Probe(rows, sample, rounds=5, prepare=lambda b: b.run_cordon("run", "--", "true", timeout=600),
                 counts=True)


# Counters of KVM_GET_STATS_FD that `cordon run --verbose` prints, by the row that they make.
COUNTERS = {"exits": "exits to KVM", "io_exits": "exits by port I/O", "mmio_exits": "exits by device registers",
            "halt_exits": "exits by halt", "irq_exits": "exits by interrupts", "insn_emulation": "emulated instructions"}


def exits_probe(what, title, *args, rounds=5):
    rows = {name: Row(f"counts.{what}.{name}", f"{title}: {text}", "count") for name, text in COUNTERS.items()}

    def sample(bench):
        _, counters = bench.report_of(*args, timeout=600)
        return {rows[name].id: counters[name] for name in COUNTERS if name in counters}

    return Probe(list(rows.values()), sample, rounds=rounds, counts=True)


def groups(bench, _options):
    return [Group("counts", "run", "A run from a template", [trace_probe(), exits_probe("warm", "run -- true", "--", "true")],
                  seconds=60),
            Group("counts", "boot", "A boot", [exits_probe("cold", "run --cold -- true", "--cold", "--memory", "128M", "--", "true",
                                                           rounds=2)], seconds=60 if bench.emulated else 5),
            Group("counts", "lab", "Guest instructions, counted in the lab", [
                boot_probe(), programs_probe("warm", "run -- true from a template", "--warm"),
                programs_probe("exec", "exec -- true in a running sandbox", "--exec")], seconds=300)]
