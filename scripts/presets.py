#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Prints policy files as initialisers of C: {"NAME", "TEXT"}, one for each file."""
import pathlib
import sys

# The default comes first wherever presets are listed.
ORDER = {"locked": 0, "workspace": 1, "open": 2}


def quoted(line):
    return '"' + line.replace("\\", "\\\\").replace('"', '\\"') + '\\n"'


for path in sorted(map(pathlib.Path, sys.argv[1:]), key=lambda p: (ORDER.get(p.stem, 9), p.stem)):
    print(f'{{"{path.stem}",')
    for line in path.read_text(encoding="ascii").splitlines():
        print("\t" + quoted(line))
    print("},")
