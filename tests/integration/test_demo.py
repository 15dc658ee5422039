# SPDX-License-Identifier: Apache-2.0
"""What `make demo` shows can be pasted: each line that it prints behind `$ ` does again what it showed."""
import os
import re
import subprocess

import cordon
from cordon import Skip, limit

BUILD_ELSEWHERE = os.path.realpath(cordon.BUILD) != os.path.realpath(os.path.join(cordon.TOP, "build"))


def commands(text):
    """[[line behind `$ `, what was printed]], from the demo's output."""
    return [part.partition("\n")[::2] for part in text.split("\n$ ")[1:]]


def same(text):
    """Without the numbers of processes."""
    return re.sub(r"\d+", "N", text.strip())


@limit(400)
def test_what_the_demo_shows_can_be_pasted():
    if BUILD_ELSEWHERE:
        raise Skip("needs the program in build/")
    demo = subprocess.run([os.path.join(cordon.TOP, "scripts/demo.sh")], capture_output=True, text=True)
    assert demo.returncode == 0 and "a sandbox can run here" in demo.stdout, demo
    lines = commands(demo.stdout)
    assert len(lines) >= 4 and lines[0][1].startswith("Linux ") and lines[-1][1].strip() == "[exit status 7]", lines
    for line, shown in lines:
        pasted = subprocess.run(["bash", "-c", line], cwd=cordon.TOP, capture_output=True, text=True)
        assert not pasted.stderr, pasted
        status = f"[exit status {pasted.returncode}]" if pasted.returncode else ""
        assert same(pasted.stdout + status) == same(shown), (line, shown, pasted)
