# SPDX-License-Identifier: Apache-2.0
"""Runs the groups of the suite `peers` in the lab, and prints a line of JSON for each row. peers_lab.py starts it.

usage: peers_inside.py CORDON PROGRAMS PEERS
"""

import json
import os
import sys
import time
import types

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
from harness import runner  # noqa: E402
from harness.context import Bench  # noqa: E402
from suites import peers  # noqa: E402

SECONDS = 350       # for each group


def main():
    cordon, programs, names = sys.argv[1:4]
    bench = Bench(cordon, programs, quick=True)
    try:
        for group in peers.groups(bench, types.SimpleNamespace(peers=names or None)):
            taken, stopped = runner.run_group(bench, group, time.monotonic() + SECONDS)
            for one in taken:
                for row in one.probe.rows:
                    print(json.dumps({"id": row.id, "samples": [sample["value"] for sample in one.samples[row.id]],
                                      "reason": one.reason}), flush=True)
            if stopped:
                raise stopped
    finally:
        bench.close()


if __name__ == "__main__":
    main()
