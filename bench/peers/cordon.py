# SPDX-License-Identifier: Apache-2.0
"""Cordon, on the same work."""

from peers.start import Start

NAME = "cordon"
TITLE = "Cordon"
TITLES = {"command": "Cordon, from a template", "boot": "Cordon, without its agent"}


def machine(bench, memory, kernel, *more):
    return Start([bench.cordon, "run", "--memory", f"{memory}M", "--kernel", kernel, *more])


def null(bench, work):
    return machine(bench, work.small, work.null)


def idle(bench, work):
    return machine(bench, work.memory, work.idle)


def boot(bench, work):
    return machine(bench, work.memory, work.kernel, "--initrd", work.initrd, "--cmdline-append", work.cmdline)


def prepare(bench, _work):
    """The first run makes the template."""
    bench.run_cordon("run", "--", "true", timeout=600)


def command(bench, _work, argv):
    return Start([bench.cordon, "run", "--", *argv])
