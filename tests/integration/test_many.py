# SPDX-License-Identifier: Apache-2.0
"""More than one at once: sandboxes on a host, programs in a sandbox."""
import cordon
from cordon import run, start
from initramfs import initrd_with


@cordon.limit(600)
def test_ten_at_once():
    run("true").expect(0)
    processes = [start("sh", "-c", f"read x; echo {i} $x; exit {i}") for i in range(10)]
    for i, process in enumerate(processes):
        process.feed(b"word %d\n" % i)
    for i, process in enumerate(processes):
        process.wait().expect(i, b"%d word %d\n" % (i, i), b"")


def test_avx_of_two_programs():
    """Two programs that run at once each have their own AVX registers (or see no AVX)."""
    with open(cordon.program("avx"), "rb") as program:
        initrd = initrd_with({"bin/avx-test": (0o755, program.read())})
    result = run("/bin/avx-test", "2", options=["--initrd", initrd])
    assert result.status == 0 and result.stdout in (b"hidden\n", b"right 2\n"), repr(result)
    if cordon.HARDWARE and "avx" in cordon.CPU_FLAGS and not cordon.IN_LAB:   # see docs/lab.md
        assert result.stdout == b"right 2\n", f"a host with AVX shows it: {result!r}"
