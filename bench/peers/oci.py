# SPDX-License-Identifier: Apache-2.0
"""What crun and runc share: a bundle of the run's own root, made without any daemon or image."""

import json
import os

from harness.context import find_program
from peers.start import Start

NAMESPACES = ("pid", "ipc", "uts", "mount", "network")


def config(root, argv):
    """A minimal runtime configuration: namespaces, a read-only root, no capabilities; as a user without rights in a user namespace."""
    namespaces = [{"type": kind} for kind in NAMESPACES]
    linux = {"namespaces": namespaces}
    if os.geteuid() != 0:
        namespaces.append({"type": "user"})
        linux["uidMappings"] = [{"containerID": 0, "hostID": os.geteuid(), "size": 1}]
        linux["gidMappings"] = [{"containerID": 0, "hostID": os.getegid(), "size": 1}]
    return {
        "ociVersion": "1.0.2",
        "process": {"terminal": False, "user": {"uid": 0, "gid": 0}, "args": argv, "env": ["PATH=/bin"], "cwd": "/",
                    "noNewPrivileges": True},
        "root": {"path": root, "readonly": True},
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"},
                   {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]}],
        "linux": linux}


def command(bench, work, argv, name, options=()):
    """Start of the runtime `name` on a bundle for this command."""
    program = find_program(name, name)
    bundle = bench.path(f"bundle-{name}-{len(argv)}")
    if not os.path.isdir(bundle):
        os.mkdir(bundle)
        with open(os.path.join(bundle, "config.json"), "w", encoding="ascii") as file:
            json.dump(config(work.root, argv), file)
    return Start([program, "--root", bench.path(f"state-{name}"), *options, "run", "--bundle", bundle,
                  f"cordon-bench-{os.getpid()}"])
