#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks that includes go downwards only, as docs/architecture.md draws it.

Prints one line a violation and exits 1 if there is any.
"""
import pathlib
import re
import sys

# A part may include itself and every part of a lower layer.
LAYERS = [
    ["vmm/base"],
    ["vmm/kvm", "vmm/policy"],
    ["devices", "boot", "vmm/agent", "vmm/files", "vmm/net", "vmm/jail", "vmm/image"],
    ["vmm/machine"],
    ["vmm/sandbox"],
    ["vmm/control"],
    ["vmm/launch"],
    ["vmm/cli"],
    ["vmm"],
]
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')


def part_of(path):
    """The part that a file belongs to, with its layer; None for files outside the layers."""
    best = None
    for level, parts in enumerate(LAYERS):
        for part in parts:
            if path.startswith(part + "/") and (best is None or len(part) > len(best[0])):
                best = (part, level)
    return best


def device_folder(path):
    return path.split("/")[1] if path.startswith("devices/") else None


def problem(source, target):
    here, there = part_of(source), part_of(target)
    if there is None:
        return None
    if here[0] == there[0] == "devices":
        if device_folder(target) not in (device_folder(source), "virtio"):
            return "a device folder shares only devices/virtio with another"
        return None
    if here[0] == there[0]:
        return None
    if there[1] == here[1]:
        return f"{here[0]} and {there[0]} stand beside each other"
    if there[1] > here[1]:
        return f"{here[0]} is below {there[0]}"
    return None


def check_file(source):
    found = []
    lines = pathlib.Path(source).read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        if match[1] == "<":
            if match[2] == "linux/kvm.h" and not source.startswith("vmm/kvm/"):
                found.append(f"{source}:{number}: only vmm/kvm includes <linux/kvm.h>")
            continue
        if not pathlib.Path(match[2]).exists():
            found.append(f"{source}:{number}: {match[2]}: written from the project's top folder?")
            continue
        why = problem(source, match[2])
        if why:
            found.append(f"{source}:{number}: includes {match[2]}: {why}")
    return found


def main():
    sources = [str(p) for top in ("vmm", "devices", "boot") for p in pathlib.Path(top).rglob("*.[ch]")]
    found = [line for source in sorted(sources) for line in check_file(source)]
    print("\n".join(found) if found else f"includes: {len(sources)} files, all downwards")
    return 1 if found or not sources else 0


if __name__ == "__main__":
    sys.exit(main())
