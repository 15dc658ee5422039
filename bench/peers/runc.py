# SPDX-License-Identifier: Apache-2.0
"""runc: one start of the runtime with a bundle on disk, from its exec until it has removed the container."""

from peers import oci

NAME = "runc"
TITLE = "runc"


def command(bench, work, argv):
    return oci.command(bench, work, argv, NAME)
