#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Check that includes go in the directions that docs/architecture.md allows.

The table "Map of the code" is the rule: each directory with C files has a row, and the column
"may include" names the others that it may include. A name is a path of the table, such as
`boot`, or one below vmm/ or devices/, such as `base`; `devices` names all directories below it, a
file in code quotes that file only, "all above" every row before. Includes between the directories
of one row are not allowed, nor are cycles between directories or between headers.

    check-includes.py [TREE]       check, one line for each violation; exit status 1 if there is any
    check-includes.py --self-test  check that violations made in a copy of the tree are found
"""
import os
import pathlib
import re
import shutil
import sys
import tempfile

TABLE = "docs/architecture.md"
TITLE = "## Map of the code"
TOPS = ("vmm", "devices", "boot", "guest-kernel", "tests", "bench")
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]')
KVM_HEADER_USERS = ("vmm/kvm", "vmm/jail", "tests/")    # jail: the ioctls that it permits; tests: as an oracle


class Map:
    """The table: directories with the set of paths that each may include."""

    def __init__(self, tree):
        self.problems = []
        self.allowed = {}
        text = (tree / TABLE).read_text(encoding="utf-8")
        section = text.partition(TITLE + "\n")[2].partition("\n## ")[0]
        rows = [[cell.strip() for cell in line.strip("|").split("|")]
                for line in section.splitlines() if line.startswith("| `")]
        if not rows or any(len(row) != 3 for row in rows):
            sys.exit(f"{TABLE}: no table of three columns under '{TITLE}'")
        rows = [(re.findall(r"`([^`]+)`", row[0]), row[2]) for row in rows]
        names = [name for row in rows for name in row[0]]
        for name in names:
            if names.count(name) > 1:
                self.problems.append(f"{TABLE}: {name} stands in the table twice")
            if not (tree / name).is_dir():
                self.problems.append(f"{TABLE}: no directory {name}")
        above = []
        for row_names, column in rows:
            allowed = self.resolve(tree, column, names, above, row_names)
            for name in row_names:
                self.allowed[name] = allowed
            above += row_names

    def resolve(self, tree, column, names, above, row_names):
        allowed = set()
        for word in column.split(","):
            word = word.strip(" `")
            found = [name for path in (word, f"vmm/{word}", f"devices/{word}")
                     for name in names if name == path]
            if word == "all above":
                allowed.update(above)
            elif found:
                allowed.add(found[0])
            elif any(name.startswith(word + "/") for name in names):
                allowed.update(name for name in names if name.startswith(word + "/"))
            elif (tree / word).is_file():
                allowed.add(word)
            elif word != "nothing":
                self.problems.append(f"{TABLE}: {row_names[0]} may include '{word}': no such directory")
        return allowed


def sources(tree):
    """All C files below the directories of the code, as paths from the top of the tree."""
    return sorted(str(path.relative_to(tree)) for top in TOPS
                  for path in (tree / top).rglob("*.[ch]"))


def includes(tree, source):
    """Number of the line, the quote and the path of each include."""
    lines = (tree / source).read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match[1], match[2]


def check_file(tree, table, source, edges):
    """Violations in one file. Adds what it includes from the tree to edges."""
    here = os.path.dirname(source)
    for number, quote, target in includes(tree, source):
        at = f"{source}:{number}"
        if quote == "<":
            if target == "linux/kvm.h" and not source.startswith(KVM_HEADER_USERS):
                yield f"{at}: only vmm/kvm and vmm/jail include <linux/kvm.h>"
            continue
        if not (tree / target).exists():
            # Generated files are below build/gen; only .inc files are.
            if not target.endswith(".inc"):
                yield f"{at}: no file {target}; paths start at the top of the tree"
            continue
        there = os.path.dirname(target)
        edges.setdefault(source, set()).add(target)
        allowed = table.allowed.get(here, set())
        if there != here and there not in allowed and target not in allowed:
            yield f"{at}: includes {target}: {TABLE} does not allow {here} to include {there}"


def cycle(edges):
    """One cycle in a graph as a list of its nodes, or None."""
    done = set()
    for start in sorted(edges):
        path, iterators = [start], [iter(sorted(edges[start]))]
        while path:
            following = next((n for n in iterators[-1] if n not in done), None)
            if following is None:
                done.add(path.pop())
                iterators.pop()
            elif following in path:
                return path[path.index(following):] + [following]
            else:
                path.append(following)
                iterators.append(iter(sorted(edges.get(following, ()))))
    return None


def check(tree):
    """All violations in a tree, and how many files it has."""
    table = Map(tree)
    files = sources(tree)
    found = list(table.problems)
    for directory in sorted({os.path.dirname(path) for path in files} - set(table.allowed)):
        found.append(f"{TABLE}: no row for {directory}")
    edges = {}
    for source in files:
        found += check_file(tree, table, source, edges)
    directories = {}
    for source, targets in edges.items():
        here = os.path.dirname(source)
        directories.setdefault(here, set()).update(
            there for there in map(os.path.dirname, targets) if there != here)
    headers = {source: targets for source, targets in edges.items() if source.endswith(".h")}
    for what, graph in (("directories", directories), ("headers", headers)):
        nodes = cycle(graph)
        if nodes:
            found.append(f"cycle between {what}: {' -> '.join(nodes)}")
    return found, len(files)


# Each violation: what is done to a copy of the tree, and a part of the line that must report it.
def add_line(path, line):
    return lambda tree: (tree / path).write_text((tree / path).read_text() + line + "\n")


def replace(path, old, new):
    return lambda tree: (tree / path).write_text((tree / path).read_text().replace(old, new, 1))


SELF_TEST = [
    (add_line("vmm/base/err.c", '#include "vmm/machine/machine.h"'), "vmm/base to include vmm/machine"),
    (add_line("devices/blk/blk.c", '#include "devices/rng/rng.h"'), "devices/blk to include devices/rng"),
    (add_line("vmm/base/err.h", '#include "vmm/kvm/memory.h"'), "cycle between directories: "),
    (add_line("vmm/base/err.h", '#include "vmm/base/log.h"\n#include "vmm/base/err.h"'),
     "cycle between headers: "),
    (add_line("boot/elf.c", "#include <linux/kvm.h>"), "only vmm/kvm and vmm/jail"),
    (add_line("vmm/agent/wire.h", '#include "wire.h"'), "no file wire.h"),
    (add_line("guest-kernel/agent/main.c", '#include "vmm/agent/channel.h"'),
     "guest-kernel/agent to include vmm/agent"),
    (lambda tree: (tree / "vmm/nowhere").mkdir() or (tree / "vmm/nowhere/a.c").touch(),
     "no row for vmm/nowhere"),
    (replace(TABLE, "| `vmm/base` |", "| `vmm/base`, `vmm/gone` |"), "no directory vmm/gone"),
    (replace(TABLE, "| nothing |", "| bases |"), "may include 'bases'"),
]


def self_test(top):
    failed = 0
    before = check(top)[0]
    for number, (violate, report) in enumerate(SELF_TEST, 1):
        with tempfile.TemporaryDirectory(prefix="cordon-includes.") as scratch:
            tree = pathlib.Path(scratch)
            for source in sources(top) + [TABLE]:
                (tree / source).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(top / source, tree / source)
            violate(tree)
            new = [line for line in check(tree)[0] if line not in before]
        if not any(report in line for line in new):
            print(f"self-test {number}: nothing reports '{report}' but: {new}")
            failed += 1
    if not failed:
        print(f"includes: self-test: {len(SELF_TEST)} violations, all found")
    return 1 if failed else 0


def main():
    top = pathlib.Path(__file__).resolve().parent.parent
    if sys.argv[1:] == ["--self-test"]:
        return self_test(top)
    found, count = check(pathlib.Path(sys.argv[1]) if sys.argv[1:] else top)
    print("\n".join(found) if found else f"includes: {count} files, all as {TABLE} allows")
    return 1 if found or not count else 0


if __name__ == "__main__":
    sys.exit(main())
