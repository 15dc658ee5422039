# SPDX-License-Identifier: Apache-2.0
"""QEMU microvm, without what it can do without: no default devices, no display, no ACPI tables.

The guest resets the machine through an i8042, which microvm has not of its own; with -no-reboot QEMU then ends.
"""

from harness.context import find_program
from peers.start import Start

NAME = "qemu"
TITLE = "QEMU microvm"
# QEMU stops the guest then, and waits for its monitor's user.
STUCK = (b"KVM internal error", b"emulation failure")


def machine(memory, *more):
    return Start([find_program("qemu-system-x86_64", "qemu-system-x86"), "-M", "microvm,accel=kvm,acpi=off", "-cpu", "host",
                  "-m", f"{memory}M", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-device", "i8042",
                  *more], stuck=STUCK)


def null(_bench, work):
    return machine(work.small, "-kernel", work.null)


def idle(_bench, work):
    return machine(work.memory, "-kernel", work.idle)


def boot(_bench, work):
    return machine(work.memory, "-kernel", work.kernel, "-initrd", work.initrd, "-append", work.cmdline)
