# SPDX-License-Identifier: Apache-2.0
"""Errors found before anything runs: one line on stderr, exit status 125, nothing on stdout."""
import re

import cordon
import forge
from cordon import call, run, scratch

MEBI = 1 << 20


def test_version_and_help():
    version = call("--version").expect(0, stderr=b"")
    assert re.fullmatch(rb"cordon \d+\.\d+\.\d+ \([^()\s]+\)\n", version.stdout), repr(version)
    usage = call("--help").expect(0, stderr=b"")
    assert b"run" in usage.stdout and b"doctor" in usage.stdout, repr(usage)
    usage = call("run", "--help").expect(0, stderr=b"")
    for option in (b"--memory", b"--cpus", b"--timeout", b"--env", b"--workdir", b"--console",
                   b"--cold", b"--kernel", b"--initrd", b"--cmdline-append", b"-t,", b"-v,", b"-p,"):
        assert option in usage.stdout, f"{option} expected: {usage!r}"


def test_help_stands_anywhere():
    for verb in ("run", "exec", "stop", "rm", "cp", "policy", "image", "version", "attach"):
        for arguments in ((verb, "-h"), (verb, "--help")):
            shown = call(*arguments).expect(0, stderr=b"")
            assert shown.stdout.startswith(f"cordon {verb}: ".encode()), shown
    assert call("ps", "box", "-h").expect(0).stdout == call("help", "ps").expect(0).stdout
    assert call("policy", "check", "-h").expect(0).stdout == call("help", "policy").expect(0).stdout


def test_what_is_missing_is_named():
    for arguments, *words in ((("stop",), "which sandbox?", "cordon stop"), (("rm",), "which sandbox?"),
                              (("fork", "box"), "how many copies"), (("cp", "box:/x"), "to where?"),
                              (("snapshot", "box"), "into which file?"), (("start", "a", "b"), "unexpected argument 'b'"),
                              (("stop", "--all", "a"), "either names or --all"), (("policy", "set", "a"), "which policy?")):
        call(*arguments).expect_error(*words)
    for verb in ("stop", "kill", "rm", "wait", "pause"):
        both = call(verb, "nope-a", "nope-b").expect(cordon.FAILED, b"")
        assert b"nope-a" in both.stderr and b"nope-b" in both.stderr, both


def test_words_of_other_tools():
    """Each is taken as what it means here, or answered by the way that leads there; none is guessed at."""
    for word, answer in (("pull", "image build"), ("shell", "attach"), ("login", "no registry"), ("commit", "snapshot"),
                         ("ls", "cordon ps")):
        result = call(word, "x").expect_error(word, answer)
        assert b"did you mean" not in result.stderr, result
    assert b"did you mean" not in call("foo").expect_error("foo").stderr
    call("satts").expect_error("did you mean 'stats'?")
    call("inspect", "nope-a").expect_error("nope-a")
    assert call("port", "-h").expect(0).stdout == call("help", "ports").expect(0).stdout
    for image in (("alpine", "sh"), ("debian:12",), ("docker.io/library/x", "ls")):
        call("run", *image).expect_error(image[0], "--rootfs")
    for mount, *words in (("type=tmpfs,target=/x", "type=tmpfs"), ("type=bind,target=/x", "source"),
                          ("type=bind,source=/nope-a,target=/x,readonly", "/nope-a"),
                          ("type=bind,source=/tmp,target=/x,z", "'z'")):
        call("run", "--mount", mount, "--", "true").expect_error("mount", *words)
    lines = scratch("env", b"A=1\n# no\n\n=x\n")
    call("run", "--env-file", lines, "--", "true").expect_error("env-file", ":4", "no name")
    call("run", "--env-file", "/nope-a", "--", "true").expect_error("/nope-a")


def test_bad_usage():
    nothing = call().expect(cordon.FAILED, b"")
    assert b"cordon run" in nothing.stderr, repr(nothing)
    call("frobnicate").expect_error("frobnicate")
    call("run").expect_error()
    call("run", "--").expect_error()
    call("run", "--frobnicate", "--", "true").expect_error("frobnicate")
    call("run", "--memory").expect_error("memory")
    call("run", "--cpus", "--", "true").expect_error("cpus")
    call("policy", "check", "--frobnicate", "open").expect_error("policy check: ", "cordon help policy")
    call("image", "build", "x", "--frobnicate").expect_error("image build: ", "cordon help image")
    call("audit", "x", "--frobnicate").expect_error("audit: ", "cordon help audit")
    call("audit", "/").expect_error("audit log /: not a regular file")


def test_bad_values():
    for value in ("", "0", "-1", "9", "1.5.1", "one", "99999999999999999999"):
        run("true", options=["--cpus", value]).expect_error("cpus")
    for value in ("", "-1", "x", "-5s", "1y"):
        run("true", options=["--timeout", value]).expect_error("timeout")
    for value in ("", "=x"):
        run("true", options=["--env", value]).expect_error("env")


def test_bad_memory():
    for value in ("", "x", "-64M", "64Q", "64MM", "99999999999999999999G"):
        run("true", options=["--memory", value]).expect_error("memory")
    for value in ("0", "1M", "1048576"):
        run("true", options=["--memory", value]).expect_error("memory", "64")


def test_memory_larger_than_host():
    for value in ("64T", "16777215T"):
        run("true", options=["--memory", value]).expect_error("memory")


def bad_kernel(data, *words, memory="64M"):
    path = scratch("kernel", data)
    run("true", options=["--kernel", path, "--memory", memory]).expect_error(path, *words)


def test_kernel_missing():
    run("true", options=["--kernel", "/nonexistent/kernel"]).expect_error(
        "/nonexistent/kernel", "No such file")
    run("true", options=["--kernel", "/"]).expect_error("/")
    run("true", options=["--initrd", "/nonexistent/initrd"]).expect_error(
        "/nonexistent/initrd", "No such file")


def test_kernel_is_no_kernel():
    bad_kernel(b"")
    bad_kernel(b"#!/bin/sh\nexit 0\n")
    bad_kernel(b"\x7fELF")
    bad_kernel(bytes(1 << 16))
    bad_kernel(forge.elf(forge.load())[:60])


def test_kernel_of_another_kind():
    bad_kernel(forge.elf(forge.load(), machine=forge.AARCH64), "x86-64")
    bad_kernel(forge.elf(forge.load(), elf_class=1))
    bad_kernel(forge.elf(forge.load(), kind=1))             # relocatable
    bad_kernel(forge.elf(phnum=0))
    bad_kernel(forge.elf(forge.load(type=2)))               # nothing to load
    bad_kernel(forge.elf(forge.load(), phentsize=16))
    bad_kernel(forge.elf(forge.load(), phoff=1 << 40))
    bad_kernel(forge.elf(forge.load(), phoff=(1 << 64) - 8))
    bad_kernel(forge.elf(forge.load(), phnum=65535))


def test_kernel_truncated():
    whole = forge.elf(forge.load(forge.SPIN * 5000))
    bad_kernel(whole[:8192])
    bad_kernel(forge.elf(forge.load(filesz=1 << 20, memsz=1 << 20)))
    with open(cordon.VMLINUX, "rb") as vmlinux:
        bad_kernel(vmlinux.read(1 << 20), memory="128M")


def test_kernel_segments():
    load, start = forge.load, forge.START
    bad_kernel(forge.elf(load(bytes(8192)), load(bytes(8192), paddr=start + 4096)))     # overlap
    bad_kernel(forge.elf(load(), load(paddr=start + 4096, memsz=(1 << 64) - 4096)))     # wraps
    bad_kernel(forge.elf(load(), load(paddr=(1 << 64) - 4096, memsz=8192)))             # wraps
    bad_kernel(forge.elf(load(), load(offset=(1 << 64) - 1)))                           # in the file
    bad_kernel(forge.elf(load(), load(paddr=1 << 30)))                                  # outside
    bad_kernel(forge.elf(load(memsz=128 << 20)))                                        # too long
    bad_kernel(forge.elf(load(bytes(8192), memsz=4096)))                                # memsz < filesz
    bad_kernel(forge.elf(load(), load(paddr=0)))                                        # boot tables
    bad_kernel(forge.elf(load(), entry=start - 4096))                                   # entry outside
    bad_kernel(forge.elf(load(), load(paddr=0xd0000000)), memory="64M")                 # devices' hole


def test_initrd_larger_than_memory():
    path = scratch("initrd", b"")
    with open(path, "r+b") as initrd:
        initrd.truncate(100 * MEBI)                         # sparse
    run("true", options=["--initrd", path, "--memory", "64M"]).expect_error(path, "memory")


def test_command_line_too_long():
    run("true", options=["--cmdline-append", "x" * 4000]).expect_error("command line")


def test_good_twin():
    """The positive twin: the forged kernel that the bad ones are made from loads and runs; it powers off."""
    result = run("true", options=["--kernel", forge.kernel(forge.POWER_OFF), "--memory", "64M"])
    result.expect_error("the guest switched itself off")


def test_messages_say_what_to_do():
    call("run", "--audit", "/nope-a/log", "--", "true").expect_error("audit log /nope-a/log: directory /nope-a does not exist")
    call("run", "-v", "/tmp:/", "--", "true").expect_error("/ cannot be the mount point of a share", "/work")
    call("policy", "add", "workspace", "file", "read", "/x").expect_error("preset", "include workspace")


def test_a_reader_that_ends_and_a_closed_output():
    """As with other programs: `| head` is no error, a closed output is one."""
    piped = call("-c", f"({cordon.PROGRAM} help run; echo $? >&2) | head -c 1", program="/bin/sh")
    assert piped.stdout == b"c" and piped.stderr in (b"0\n", b"141\n"), piped
    call("-c", f"{cordon.PROGRAM} help >&-", program="/bin/sh").expect_error("stdout")
    call("-c", f"{cordon.PROGRAM} help >/dev/full", program="/bin/sh").expect_error("stdout", "No space")
    lost = call("-c", f"{cordon.PROGRAM} run -- echo x >&-", program="/bin/sh")
    assert b"standard output is closed" in lost.stderr, lost
