# SPDX-License-Identifier: Apache-2.0
"""Firecracker, from a configuration file, without its API's socket; with its own seccomp filters, without its jailer."""

import json
import shutil

from harness.model import NotMeasured
from peers.start import Start

NAME = "firecracker"
TITLE = "Firecracker"


def machine(bench, name, memory, source):
    program = shutil.which("firecracker")
    if not program:
        raise NotMeasured("firecracker is not installed: Debian has no package, its project publishes the program")
    path = bench.path(f"firecracker-{name}.json")
    with open(path, "w", encoding="ascii") as file:
        json.dump({"boot-source": source, "drives": [], "machine-config": {"vcpu_count": 1, "mem_size_mib": memory}}, file)
    return Start([program, "--no-api", "--config-file", path])


def null(bench, work):
    return machine(bench, "null", work.small, {"kernel_image_path": work.null})


def idle(bench, work):
    return machine(bench, "idle", work.memory, {"kernel_image_path": work.idle})


def boot(bench, work):
    return machine(bench, "boot", work.memory,
                   {"kernel_image_path": work.kernel, "initrd_path": work.initrd, "boot_args": work.cmdline})
