# SPDX-License-Identifier: Apache-2.0
"""Podman on a root directory (--rootfs): no image, no registry, no network; its state in the run's own directory."""

import resource

from harness.context import find_program
from peers.start import Start

NAME = "podman"
TITLE = "Podman (--rootfs)"
LIMIT = 1000


def command(bench, work, argv):
    # Podman raises the limits of a container, which fails where its own may not be raised: it gets low ones.
    limits = []
    for name, number in (("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC)):
        hard = resource.getrlimit(number)[1]
        limit = LIMIT if hard == resource.RLIM_INFINITY else min(hard, LIMIT)
        limits += ["--ulimit", f"{name}={limit}:{limit}"]
    return Start([find_program("podman", "podman"), "--root", bench.path("podman"), "--runroot", bench.path("podman-run"),
                  "--tmpdir", bench.path("podman-tmp"), "--storage-driver", "vfs", "--events-backend", "none",
                  "run", "--rm", "--network", "none", "--log-driver", "none", *limits,
                  "--rootfs", work.root, *argv])
