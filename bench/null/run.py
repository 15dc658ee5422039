#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times a guest of two instructions: the cost of monitor and KVM from exec to exit.

usage: bench/null/run.py [--runs N]
"""

import argparse
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import common  # noqa: E402  (found by the path above)


def build():
    """Assembles and links the guest; returns its path."""
    path = os.path.join(common.BUILD, "bench", "null.elf")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    subprocess.run(["gcc", "-nostdlib", "-static", "-Wl,-N,--no-warn-rwx-segments,-Ttext=0x1000000,--build-id=none",
                    "-o", path, os.path.join(HERE, "null.S")], check=True)
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=50)
    args = parser.parse_args()
    command = [common.CORDON, "run", "--kernel", build(), "--memory", "64M"]
    common.exec_to_exit(command)
    condition = f"{args.runs} runs, {common.load()}"
    common.row("/bin/true on the host, exec to exit",
               common.spread([common.exec_to_exit(["/bin/true"]) for _ in range(args.runs)],
                             "ms", 2), condition)
    common.row("null guest, exec to exit",
               common.spread([common.exec_to_exit(command) for _ in range(args.runs)], "ms", 2),
               condition)


if __name__ == "__main__":
    main()
