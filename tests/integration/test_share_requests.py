# SPDX-License-Identifier: Apache-2.0
"""How many messages the guest's kernel sends to the file server: what its patches save is counted, not timed."""
import os
import re

from cordon import limit, run, work
from images import root_directory

USES = 400


def requests(script, *options):
    """Requests of a run, and how many of them ended before their doorbell's write did."""
    result = run("sh", "-c", script, options=("--verbose", *options)).expect(0)
    found = re.search(rb"file system requests (\d+), of these done in the doorbell (\d+), refused 0;", result.stderr)
    assert found and not result.stdout, result
    return int(found.group(1)), int(found.group(2))


def files(top, count):
    os.makedirs(top)
    for number in range(1, count + 1):
        with open(os.path.join(top, str(number)), "wb"):
            pass


@limit(300)
def test_share_requests_of_names():
    """A use of a name in a share that the host may change is a LOOKUP, whose reply has the attributes; that the
    name is kept saves a FORGET. Requests that the server is quick about end in the doorbell."""
    # Long paths: the share's own directory, which has no name, takes a GETATTR for each tick of the clock.
    files(work("top/2/3/4"), 1)
    script = f"for i in $(seq {USES // 4}); do [ -f /w/2/3/4/1 ] || echo $i; done"
    count, prompt = requests(script, "--share", f"{work('top')}:/w")
    assert USES <= count < USES * 1.5, count
    assert prompt > count / 10, (count, prompt)


@limit(300)
def test_share_requests_of_an_overlay():
    """The overlay above a served root looks for attributes of its own in each file, and the server has none: that is
    no request."""
    top = root_directory()
    files(os.path.join(top, "many"), USES)
    count, prompt = requests(f"for i in $(seq {USES}); do [ -f /many/$i ] || echo $i; done", "--rootfs", top)
    assert USES <= count < USES * 1.5, count
    assert prompt > count / 10, (count, prompt)


@limit(300)
def test_share_requests_of_new_files():
    """A file that a shell creates, writes and closes takes a LOOKUP, a CREATE, a WRITE and a RELEASE: no attribute of
    class security is requested, and no close is flushed without a reason."""
    os.makedirs(work("top"))
    count, _ = requests(f"for i in $(seq {USES}); do echo >/w/$i; done", "--share", f"{work('top')}:/w")
    assert 4 * USES <= count < 4 * USES * 1.5, count
    assert len(os.listdir(work("top"))) == USES
