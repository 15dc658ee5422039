# SPDX-License-Identifier: Apache-2.0
"""bubblewrap: all namespaces that it can make, the root read-only. It makes no cgroup and sets no seccomp filter."""

from harness.context import find_program
from peers.start import Start

NAME = "bubblewrap"
TITLE = "bubblewrap"


def command(_bench, work, argv):
    return Start([find_program("bwrap", "bubblewrap"), "--unshare-all", "--die-with-parent", "--ro-bind", work.root, "/",
                  "--proc", "/proc", "--dev", "/dev", "--", *argv])
