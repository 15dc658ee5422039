# SPDX-License-Identifier: Apache-2.0
"""README, docs and the manual's own pages name only verbs and options that `cordon help` has."""
import glob
import os
import re

from test_manual import BUILD, TOP, help_of, verbs

FENCE = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
# A call of cordon in a line of code: its verb and what stands before the next command, or before "--".
CALL = re.compile(r"(?:^|[\s;|(/])cordon ([a-z]+)((?: [^|;&#]*)?)")


def options():
    """What help says of each verb: all its options, as --name and -l."""
    return {verb: set(re.findall(r"--[a-z-]+|(?<![\w-])-[a-zA-Z]\b", help_of(verb))) for verb in verbs()}


def code(text):
    """Lines of code blocks, and code in the text."""
    for block in FENCE.findall(text):
        yield from block.splitlines()
    for span in re.findall(r"`([^`]+)`", FENCE.sub("", text)):
        yield span.replace("\n", " ")


def manual_code(text):
    """The examples and literal words of a page in mdoc."""
    for line in re.findall(r"^\.(?:Dl|Ql|Li) (.*)$", text, re.MULTILINE):
        yield line.replace(r"\(dq", '"')


def wrong(lines, known):
    """The calls that help does not know, and the number of all calls."""
    found, count = [], 0
    for line in lines:
        for verb, rest in CALL.findall(line):
            count += 1
            if verb not in known:
                found.append(f"no verb {verb}: {line}")
                continue
            for option in re.findall(r"(?<=\s)(--[a-z-]+|-[a-zA-Z]\b)", rest.split(" -- ")[0]):
                if option not in known[verb]:
                    found.append(f"{verb} has no {option}: {line}")
    return found, count


def test_documents_name_what_help_has():
    known, problems, total = options(), [], 0
    for path in ["README.md", "SECURITY.md", "CONTRIBUTING.md", "docs/man/cordon.1.in", "docs/man/cordon-policy.5",
                 *sorted(glob.glob("docs/**/*.md", root_dir=TOP, recursive=True))]:
        with open(os.path.join(TOP, path), encoding="utf-8") as file:
            text = file.read()
        found, count = wrong(code(text) if path.endswith(".md") else manual_code(text), known)
        problems += [f"{path}: {problem}" for problem in found]
        total += count
    assert not problems, "\n".join(problems)
    assert total > 150, total


def test_what_help_does_not_have_is_found():
    known = options()
    for line in ("cordon rum -- true", "echo | cordon run --frob -- true", "x; cordon exec -Z box -- sh"):
        problems, count = wrong([line], known)
        assert len(problems) == count == 1, line
    assert wrong(["cordon run --memory 1G -t -- grep -Z --frob", "the cordon"], known) == ([], 1)
    assert list(code("a `b\nc` d\n```sh\ne\n```\n")) == ["e", "b c"]


def test_readme_points_at_what_is_there():
    with open(os.path.join(TOP, "README.md"), encoding="utf-8") as file:
        text = file.read()
    links = re.findall(r"\]\(([^)#]+)", text)
    assert len(links) > 20
    for link in links:
        assert os.path.exists(os.path.join(TOP, link)), link
    for page in re.findall(r"`man (?:(\d) )?([a-z-]+)`", text):
        section, name = page[0] or "1", page[1]
        assert os.path.exists(os.path.join(BUILD, "man", f"{name}.{section}")), page
