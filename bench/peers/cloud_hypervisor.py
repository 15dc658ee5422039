# SPDX-License-Identifier: Apache-2.0
"""Cloud Hypervisor. A reset of the machine is a reboot for it: the null guest turns the machine off instead."""

import shutil

from harness.model import NotMeasured
from peers.start import Start

NAME = "cloud-hypervisor"
TITLE = "Cloud Hypervisor"


def machine(memory, kernel):
    program = shutil.which("cloud-hypervisor")
    if not program:
        raise NotMeasured("cloud-hypervisor is not installed: Debian has no package, its project publishes the program")
    return Start([program, "--cpus", "boot=1", "--memory", f"size={memory}M", "--console", "off", "--serial", "off",
                  "--kernel", kernel])


def null(_bench, work):
    return machine(work.small, work.null_off)


def idle(_bench, work):
    return machine(work.memory, work.idle)


def boot(_bench, _work):
    machine(0, "")
    raise NotMeasured("the guest's kernel has no ACPI to turn this machine off, and a reset would start it anew")
