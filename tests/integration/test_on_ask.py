# SPDX-License-Identifier: Apache-2.0
"""The command of --on-ask decides what programs of the sandbox propose."""
import json
import os
import time

from cordon import call, limit, work, write
from sandboxes import execute, executing, sandbox

SCRIPT = r"""#!/bin/sh
tee -a "$0.questions" | grep -q '"kind":"proposal"' || exit 1
case $(tail -1 "$0.questions") in
*'"object":"file write /w/a"'*) echo '{"answer":"approve","reason":"on the list"}' ;;
*'"object":"file write /w/b"'*) echo '{"answer":"reject","reason":"use a"}' ;;
*'"object":"file write /w/c"'*) echo '{"answer":"always"}' ;;
*) echo always ;;
esac
"""


def propose(rule, *options):
    """Proposes a rule in the sandbox; ended: its status and what it printed."""
    return executing("box", "cordon-guest", "propose", rule, *options)


@limit(600)
def test_a_command_decides_proposals():
    """Approved, rejected, no decision: then an operator decides, or the time is over."""
    script = write("decide", SCRIPT)
    os.chmod(script, 0o755)
    for name in "abcd":
        write("top/" + name, name)
    policy = write("p", f"policy 1\nshare {work('top')} /w\nfile read /w/**\n")
    with sandbox("box", "--policy", policy, "--on-ask", script):
        assert execute("box", "sh", "-c", "echo x >/w/a").status != 0
        propose("file write /w/a", "--reason", "to\x1b[2J work").wait().expect(0, b"approved: added:2\n", b"")
        execute("box", "sh", "-c", "echo x >/w/a").expect(0)
        propose("file write /w/b").wait().expect(1, b"", b"rejected: use a\n")
        # What decides questions decides nothing here: an operator has to.
        waits = propose("file write /w/c")
        while not any(b"file write /w/c" in line for line in open(script + ".questions", "rb")):
            time.sleep(0.01)
        while not (shown := call("ask", "box").expect(0).stdout.decode()):
            pass
        call("ask", "box", shown.split(":")[0], "always").expect(0)
        waits.wait().expect(0, b"approved: added:3\n", b"")
        assert propose("file write /w/d", "--timeout", "2").wait().status == 3
        assert execute("box", "sh", "-c", "echo x >/w/d").status != 0
        log = [json.loads(line) for line in call("audit", "--json", "box").expect(0).stdout.splitlines()]
    answers = [line["detail"] for line in log if line.get("event") == "answer"]
    by = "by the command of --on-ask"
    assert answers[:2] == [f"question=1 answer=always {by}: on the list", f"question=2 answer=no {by}: use a"], answers
    assert any(f"{by}: on the list, added:2: file write /w/a" in line.get("detail", "") for line in log), log
    with open(script + ".questions", encoding="utf-8") as file:
        questions = [json.loads(line) for line in file]
    assert [question["object"] for question in questions] == [f"file write /w/{name}" for name in "abcd"], questions
    assert questions[0]["reason"] == "to\\x1b[2J work" and questions[0]["operation"] == "propose", questions
    assert "id" not in questions[0] and "event" not in questions[0], questions
