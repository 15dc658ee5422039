# SPDX-License-Identifier: Apache-2.0
"""Shares on file systems where several spellings of a name stand for one file: rules about names hold, as such a
directory is not shared, nor entered. ext4 folds Unicode as it does and has directories of both kinds; vfat has short
names besides."""
import ctypes
import os
import shutil
import subprocess

import cordon
from cordon import limit, run, work, write
from sandboxes import execute, sandbox

# What ext4 takes for the same: KELVIN SIGN, LATIN CAPITAL LETTER I WITH DOT ABOVE, sharp s, and characters that it ignores.
SPELLINGS = {
    "secret/key": ["secret/KEY", "SECRET/key", "Secret/Key", "se\u200ccret/key", "secret/\u212aey", "\u017fecret/key"],
    ".env": [".ENV", ".Env", ".e\u00adnv", ".env\u200c", "\ufeff.env"],
    "i\u0307d": ["\u0130d", "\u0130D", "I\u0307d"],
    "strasse": ["stra\u00dfe", "STRA\u1e9eE", "Strasse", "STRASSE", "stra\u017f\u017fe"],
}
RULES = "\n".join(["file deny /w/*/secret/**", "file hide /w/*/.env", "file hide /w/*/i\u0307d", "file deny /w/*/strasse",
                   "file write /w/**", ""])


def mounted(name, size, make, kind, options=""):
    """A new file system in a file, mounted in a namespace of this test's process: its directory."""
    cordon.need_root()
    cordon.need_program(make[0], "mount")
    busybox = shutil.which("busybox")
    for module in ("ext4", "crc32c_generic", "vfat", "nls_cp437", "nls_ascii"):     # this namespace has no modprobe of its own
        subprocess.run([busybox or "false", "modprobe", module], check=False, capture_output=True)
    image, place = work(name + ".img"), work(name)
    with open(image, "wb") as file:
        file.truncate(size)
    subprocess.run([*make, image], check=True, capture_output=True)
    ctypes.CDLL(None, use_errno=True).unshare(0x20000)      # CLONE_NEWNS
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    os.makedirs(place)
    if subprocess.run(["mount", "-t", kind, "-o", "loop" + options, image, place], check=False, capture_output=True).returncode:
        assert not cordon.IN_LAB, subprocess.run(["dmesg"], check=True, stdout=subprocess.PIPE, text=True).stdout[-1000:]
        raise cordon.Skip(f"needs loop devices and {kind}")
    return place


def casefold():
    return mounted("disk", 32 << 20, ["mkfs.ext4", "-q", "-O", "casefold", "-E", "encoding=utf8"], "ext4")


def fold(*path):
    os.makedirs(os.path.join(*path))
    subprocess.run(["chattr", "+F", os.path.join(*path)], check=True)


def fill(*path):
    for name in [*SPELLINGS, "plain"]:
        os.makedirs(os.path.dirname(os.path.join(*path, name)), exist_ok=True)
        with open(os.path.join(*path, name), "w", encoding="utf-8") as file:
            file.write("plain\n" if name == "plain" else "DENIED\n")


def reached(*path):
    """How many of the other spellings lead to a file here."""
    return sum(os.path.exists(os.path.join(*path, name)) for names in SPELLINGS.values() for name in names)


def attempts(directory):
    """A script that tries to read, replace and take each name, in each of its spellings, in a directory of the guest."""
    lines = []
    for name in [spelling for name, others in SPELLINGS.items() for spelling in (name, *others)]:
        path = f"'{directory}/{name}'"
        lines += [f"cat {path}", f"echo evil >{path}", f"echo evil >>{path}", f"ln {path} /w/taken", f"mv {path} /w/taken",
                  f"mv /w/evil {path}", f"ln -s x {path}", f"mkdir -p {path}", f"rm {path}", f"chmod 777 {path}"]
    return "cd /; echo evil >/w/evil; mkdir /w/evil.d; " + "\n".join(f"{line} 2>/dev/null" for line in lines)


def assert_untouched(*path):
    for name in SPELLINGS:
        with open(os.path.join(*path, name), encoding="utf-8") as file:
            assert file.read() == "DENIED\n", name
        assert os.stat(os.path.join(*path, name)).st_mode & 0o777 != 0o777, name


@limit(600)
def test_share_casefold():
    """A share whose own directory folds case is refused; one with such a directory in it works, but for that one."""
    disk = casefold()
    fold(disk, "folded")
    fill(disk, "folded")
    os.makedirs(os.path.join(disk, "top", "exact"))
    fill(disk, "top", "exact")
    fold(disk, "top", "folded")
    fill(disk, "top", "folded")
    # There is something to lose: the host finds a file by each of these names, and elsewhere by none.
    assert reached(disk, "top", "folded") == sum(map(len, SPELLINGS.values())) and reached(disk, "top", "exact") == 0
    run("true", options=["--share", f"{disk}/folded:/w"]).expect_error("not case-sensitive", lines=None)
    run("true", options=["--rootfs", f"{disk}/folded"]).expect_error("not case-sensitive")
    policy = write("policy", f"policy 1\nshare {disk}/top /w\n{RULES}")
    with sandbox("box", "--policy", policy):
        execute("box", "cat", "/w/exact/plain").expect(0, b"plain\n")
        assert b"denied" in execute("box", "cat", "/w/exact/secret/key").stderr
        assert b"No such" in execute("box", "cat", "/w/exact/.env").stderr
        assert b"denied" in execute("box", "cat", "/w/folded/plain").stderr
        assert execute("box", "sh", "-c", "echo /w/*").expect(0).stdout == b"/w/exact /w/folded\n"
        seen = execute("box", "sh", "-c", attempts("/w/folded"))
        assert not seen.stdout and not os.path.exists(f"{disk}/top/taken"), seen
        assert os.path.exists(f"{disk}/top/evil")
        assert_untouched(disk, "top", "folded")
        assert sorted(os.listdir(f"{disk}/top/folded")) == sorted([".env", "i\u0307d", "plain", "secret", "strasse"])


@limit(600)
def test_share_casefold_later():
    """A directory that begins to fold case while a sandbox has it as its working directory is of no more use to it."""
    disk = casefold()
    late = os.path.join(disk, "top", "late")
    os.makedirs(late)
    fill(late)
    policy = write("policy", f"policy 1\nshare {disk}/top /w\n{RULES}")
    with sandbox("box", "--policy", policy):
        script = "cd /w/late; cat plain; touch /w/ready; until [ -e /w/go ]; do sleep 0.1; done; sleep 2\n"
        process = cordon.Process("exec", "box", "--", "sh", "-c", script + attempts(".").replace("cd /;", "") + "\ncat plain\n")
        cordon.wait_until(lambda: os.path.exists(f"{disk}/top/ready"), "the guest to be there")
        for name in os.listdir(late):
            subprocess.run(["rm", "-r", os.path.join(late, name)], check=True)
        subprocess.run(["chattr", "+F", late], check=True)
        fill(late)
        assert reached(late) > 10
        open(f"{disk}/top/go", "w", encoding="utf-8").close()
        seen = process.wait()
        assert seen.stdout == b"plain\n" and b"denied" in seen.stderr, seen
        assert b"denied" in execute("box", "cat", "/w/late/plain").stderr
        assert_untouched(late)
        # Again one that does not.
        subprocess.run(["rm", "-r", late], check=True)
        os.makedirs(late)
        fill(late)
        execute("box", "cat", "/w/late/plain").expect(0, b"plain\n")
        assert b"No such" in execute("box", "cat", "/w/late/.ENV").stderr


def vfat(options):
    place = mounted("disk", 16 << 20, ["busybox", "mkdosfs"], "vfat", options)
    os.makedirs(f"{place}/.vault")
    with open(f"{place}/.vault/key", "w", encoding="utf-8") as file:
        file.write("DENIED\n")
    return place


@limit(300)
def test_share_vfat():
    """vfat ignores case."""
    place = vfat("")
    assert os.path.exists(f"{place}/.VAULT/KEY") and os.path.exists(f"{place}/VAULT~1/key")
    run("true", options=["--share", f"{place}:/w"]).expect_error("not case-sensitive", "short names")
    run("true", options=["--share", f"{place}/.vault:/w"]).expect_error("not case-sensitive", "short names")


@limit(300)
def test_share_vfat_that_knows_case():
    """The second name of a file, which no listing has, would evade a rule where case is known, too."""
    place = vfat(",check=s")
    assert not os.path.exists(f"{place}/.VAULT/KEY") and os.path.exists(f"{place}/VAULT~1/key")
    run("true", options=["--share", f"{place}:/w"]).expect_error("short names")
    # Beneath a share it is a mount, and not entered.
    write("top/file", "text\n")
    os.makedirs(work("top/disk"))
    subprocess.run(["mount", "--bind", place, work("top/disk")], check=True)
    result = run("cat", "/w/file", "/w/disk/VAULT~1/key", options=["--share", f"{work('top')}:/w"])
    assert result.stdout == b"text\n" and b"denied" in result.stderr, result
