#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the presets: presets.py TABLE OUTPUT SOURCE..., where TABLE is vmm/policy/protected.inc;
presets.py TABLE prints the table as docs/policy.md has it.

Each SOURCE becomes a policy file in the directory OUTPUT; in those that end in .in the line `@protected TOP`
becomes the table's rules. Prints all of them as initialisers of C: {"NAME", "TEXT"}.
"""
import ast
import pathlib
import re
import sys

# The default comes first wherever presets are listed.
ORDER = {"locked": 0, "workspace": 1, "agent": 2, "open": 3}
WIDTH = 118
STRINGS = r'((?:"[^"]*"\s*)+)'
ENTRY = re.compile(r"^PLACES\((\w+), (\w+),\s*" + STRINGS + r",\s*" + STRINGS + r"\)", re.M)


def joined(strings):
    return ast.literal_eval("(" + strings + ")")


def entries(table):
    """(group, verdict, patterns, reason) for each entry."""
    text = pathlib.Path(table).read_text(encoding="ascii")
    found = [(group, verdict.lower(), joined(patterns).split(), joined(reason))
             for group, verdict, patterns, reason in ENTRY.findall(text)]
    if len(found) != len(re.findall(r"^PLACES\(", text, re.M)):
        sys.exit(f"{table}: an entry is not of the form PLACES(GROUP, VERDICT, \"PATTERNS\", \"REASON\")")
    return found


def rules(table, top):
    """The lines of the table's entries, those that only warn left out."""
    for _group, verdict, patterns, reason in entries(table):
        if verdict == "warn":
            continue
        yield f"# {reason[0].upper()}{reason[1:]}."
        line = begin = f"file   {verdict:5} "
        for pattern in patterns:
            word = f" {top}/**/{pattern}"
            if len(line + word) > WIDTH and line != begin:
                yield line
                line = begin
            line += word
        yield line


def preset(table, source):
    for line in source.read_text(encoding="ascii").splitlines():
        if line.startswith("@protected "):
            yield from rules(table, line.split()[1])
        else:
            yield line


def quoted(line):
    return '"' + line.replace("\\", "\\\\").replace('"', '\\"') + '\\n"'


def document(table):
    yield "| verdict | places | why |"
    yield "|---|---|---|"
    for _group, verdict, patterns, reason in entries(table):
        yield f"| `{verdict}` | {' '.join('`' + pattern + '`' for pattern in patterns)} | {reason} |"


def main(table, output=None, *sources):
    if output is None:
        print("\n".join(document(table)))
        return

    def name(path):
        return path.name.split(".")[0]

    pathlib.Path(output).mkdir(parents=True, exist_ok=True)
    for path in sorted(map(pathlib.Path, sources), key=lambda p: (ORDER.get(name(p), 9), name(p))):
        lines = list(preset(table, path))
        pathlib.Path(output, name(path) + ".policy").write_text("\n".join(lines) + "\n", encoding="ascii")
        print(f'{{"{name(path)}",')
        for line in lines:
            print("\t" + quoted(line))
        print("},")


if __name__ == "__main__":
    main(*sys.argv[1:])
