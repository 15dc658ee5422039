# SPDX-License-Identifier: Apache-2.0
"""kvmtool. Debian has no package: CORDON_BENCH_KVMTOOL names the program, or the directory of its source, which is built.

It loads bzImage files and flat binaries only: the null guest is the same code without its ELF header.
"""

import os
import shutil

from harness.model import NotMeasured
from peers.start import Start

NAME = "kvmtool"
TITLE = "kvmtool"
VARIABLE = "CORDON_BENCH_KVMTOOL"
BUILD_LIMIT = 300


def built(bench, source):
    """The program, built from a copy of the source: the user's directory stays as it is."""
    copy = bench.path("kvmtool")
    program = os.path.join(copy, "lkvm")
    if not os.path.exists(copy):
        shutil.copytree(source, copy, symlinks=True)
        bench.run(["make", "-s", "-C", copy, "lkvm"], timeout=BUILD_LIMIT)
    if not os.access(program, os.X_OK):
        raise NotMeasured(f"no kvmtool could be built from {source}")
    return program


def find(bench):
    named = os.environ.get(VARIABLE)
    if named and os.path.isdir(named):
        return built(bench, named)
    program = shutil.which(named or "lkvm")
    if not program:
        raise NotMeasured(f"{named}: no such program or directory" if named else
                          f"lkvm is not installed: Debian has no package; {VARIABLE}=DIR builds it from a source")
    return program


def machine(bench, memory, kernel):
    return Start([find(bench), "run", "--mem", str(memory), "--cpus", "1", "--network", "mode=none", "--kernel", kernel])


def null(bench, work):
    return machine(bench, work.small, work.null_flat)


def idle(bench, work):
    return machine(bench, work.memory, work.idle_flat)


def boot(bench, _work):
    find(bench)
    raise NotMeasured("kvmtool loads no ELF kernel, and the guest's kernel is built as no other")
