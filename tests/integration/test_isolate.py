# SPDX-License-Identifier: Apache-2.0
"""--isolate: no page of the guest's memory is a page of a file, and the host's core scheduling is used or a warning says why not."""
import json
import re

from cordon import call, run
from sandboxes import execute, ps, sandbox

WARNING = b"cordon: warning: --isolate: this host's kernel has no core scheduling (CONFIG_SCHED_CORE): " \
          b"other sandboxes may run on the same core\n"


def file_pages(pid):
    """KiB of pages in writable private mappings of regular files that are not the program's: unwritten ones are shared."""
    total, counted = 0, False
    with open(f"/proc/{pid}/smaps", encoding="utf-8") as maps:
        for line in maps:
            head = re.match(r"[0-9a-f]+-[0-9a-f]+ (\S+) \S+ \S+ (\d+) *(\S*)", line)
            if head:
                counted = head[1] == "rw-p" and (".template" in head[3] or "vmlinux" in head[3] or "snapshot" in head[3])
            elif counted and line.startswith("Size:"):
                total += int(line.split()[1])
    return total


def warning():
    """What a host without core scheduling adds to the errors of a start."""
    cores = [check for check in json.loads(call("doctor", "--json").stdout)["checks"] if check["name"] == "cores"][0]
    return WARNING if cores["verdict"] != "ok" else b""


def test_memory_is_a_copy():
    run("true").expect(0)               # makes the template, if there is none
    with sandbox("shared") as pid:
        assert file_pages(pid) > 1024, "the twin: a sandbox from a template maps its file"
    with sandbox("box", "--isolate") as pid:
        assert file_pages(pid) == 0
        execute("box", "echo", "fine").expect(0, b"fine\n")


def test_a_boot_copies_the_kernel():
    run("echo", "fine", options=["--isolate", "--cold"]).expect(0, b"fine\n", warning())


def test_copies_are_isolated_too():
    with sandbox("box", "--isolate"):
        call("fork", "box", "1").expect(0, b"box-1\n")
        execute("box-1", "echo", "copy").expect(0, b"copy\n")
        assert file_pages(ps()["box-1"]["pid"]) == 0
        call("stop", "box-1").expect(0)
