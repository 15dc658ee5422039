# SPDX-License-Identifier: Apache-2.0
"""A plain process of the host: no sandbox at all. What the others add is to be seen against it."""

from peers.start import Start

NAME = "process"
TITLE = "a process of the host"


def command(_bench, work, argv):
    return Start([work.busybox, *argv])
