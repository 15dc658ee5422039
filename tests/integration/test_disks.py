# SPDX-License-Identifier: Apache-2.0
"""Root file systems on disks: images read-only and copy-on-write, scratch disks, snapshots of them."""
import hashlib
import os
import shutil
import struct
import subprocess
import uuid

import cordon
from cordon import call, limit, need_program, run, scratch, wait_until
from test_copies import seal, section

APPLETS = ["sh", "cat", "ls", "id", "stat", "sync", "dd", "rm", "mkdir", "echo", "touch", "mount", "df",
           "sleep", "md5sum"]


def name():
    return "disk-" + uuid.uuid4().hex[:8]


def tree():
    """Make a small root file system: busybox, a passwd file, a user's home, a marker."""
    path = scratch("tree") + ".d"
    for directory in ("bin", "etc", "tmp", "home/user", "dev"):
        os.makedirs(os.path.join(path, directory))
    shutil.copy("/bin/busybox", os.path.join(path, "bin/busybox"))
    for applet in APPLETS:
        os.symlink("busybox", os.path.join(path, "bin", applet))
    os.chmod(os.path.join(path, "tmp"), 0o1777)
    with open(os.path.join(path, "etc/passwd"), "w") as passwd:
        passwd.write("root:x:0:0:root:/:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n")
    with open(os.path.join(path, "marker"), "w") as marker:
        marker.write("from the image\n")
    return path


def tool(program):
    """Path of a tool; mke2fs is in /sbin, which is not in every user's PATH."""
    found = shutil.which(program, path=os.environ.get("PATH", "") + ":/sbin:/usr/sbin")
    if not found:
        raise cordon.Skip(f"needs the program {program}")
    return found


def ext4():
    """The tree as an ext4 image; uid 0 owns all of it but the user's home."""
    source, path = tree(), scratch("image.ext4")
    os.truncate(path, 12 << 20)
    subprocess.run([tool("mke2fs"), "-q", "-F", "-t", "ext4", "-O", "^metadata_csum", "-E",
                    "root_owner=0:0", "-d", source, path], check=True)
    # Not every user may give files away, so debugfs sets the owners in the image.
    commands = "".join(f"sif {file} {field} {value}\n" for file, owner in
                       (("/marker", 0), ("/bin/busybox", 0), ("/home/user", 1000), ("/etc/passwd", 0))
                       for field, value in (("uid", owner), ("gid", owner)))
    subprocess.run([tool("debugfs"), "-w", "-f", "-", path], input=commands.encode(), check=True,
                   capture_output=True)
    return path


def squashfs():
    """The tree as a squashfs image, uncompressed: a host that emulates ring 0 decompresses slowly."""
    need_program("mksquashfs")
    path = scratch("image.squashfs")
    subprocess.run(["mksquashfs", tree(), path, "-noappend", "-all-root", "-noI", "-noD", "-noF", "-noX",
                    "-no-progress", "-quiet"], check=True, stdout=subprocess.DEVNULL)
    return path


def digest(path):
    with open(path, "rb") as data:
        return hashlib.sha256(data.read()).hexdigest()


LOOK = "cat /marker; stat -c '%u %g' /marker /home/user; id -u"
LOOKED = b"from the image\n0 0\n1000 1000\n0\n"


@limit(600)
def test_a_read_only_ext4_under_an_overlay():
    image = ext4()
    before = digest(image)
    result = run("sh", "-c", LOOK + "; echo x >/new && cat /new; echo y >/marker && cat /marker; sync",
                 options=["--rootfs", image])
    result.expect(0, LOOKED + b"x\ny\n")
    assert digest(image) == before
    # The next sandbox starts from the unchanged image.
    run("sh", "-c", "cat /marker; ls /new 2>/dev/null || echo none", options=["--rootfs", image + ":ro"]) \
        .expect(0, b"from the image\nnone\n")


@limit(600)
def test_a_squashfs_image():
    image = squashfs()
    before = digest(image)
    run("sh", "-c", "cat /marker; stat -c '%u %g' /marker; echo z >/etc/new && cat /etc/new",
        options=["--rootfs", image + ":squashfs"]).expect(0, b"from the image\n0 0\nz\n")
    assert digest(image) == before


@limit(600)
def test_an_erofs_image():
    """An erofs image is recognized by its magic number and by :erofs; a compressed one is refused on the host."""
    need_program("mkfs.erofs")
    image, compressed = scratch("image.erofs"), scratch("compressed.erofs")
    source = tree()
    with open(os.path.join(source, "twice"), "w") as twice:
        twice.write("the same line\n" * 1000)
    subprocess.run(["mkfs.erofs", "--quiet", "--all-root", image, source], check=True)
    subprocess.run(["mkfs.erofs", "--quiet", "-zlz4", "--all-root", compressed, source], check=True)
    before = digest(image)
    script = "cat /marker; stat -c '%u %g' /marker; tail -n 1 /twice; echo z >/etc/new && cat /etc/new"
    for name_it in ("", ":erofs"):
        run("sh", "-c", script, options=["--rootfs", image + name_it]) \
            .expect(0, b"from the image\n0 0\nthe same line\nz\n")
    assert digest(image) == before
    run("true", options=["--rootfs", image + ":cow"]).expect_error("erofs can't be written to")
    run("true", options=["--rootfs", compressed]).expect_error("a compressed erofs", compressed)
    run("true", options=["--rootfs", compressed + ":erofs"]).expect_error("a compressed erofs")


@limit(600)
def test_copy_on_write_leaves_the_image_alone():
    """Two sandboxes share an image; each sees only its own changes."""
    image, one, two = ext4(), name(), name()
    before = digest(image)
    try:
        for box in (one, two):
            call("start", box, "--rootfs", image + ":cow").expect(0)
        call("exec", one, "--", "sh", "-c", LOOK).expect(0, LOOKED)
        call("exec", one, "--", "sh", "-c", "echo one >/marker; sync; cat /marker").expect(0, b"one\n")
        call("exec", two, "--", "cat", "/marker").expect(0, b"from the image\n")
    finally:
        for box in (one, two):
            call("kill", box)
    assert digest(image) == before


@limit(600)
def test_a_private_layer_is_bounded():
    """A write beyond the limit of the private layer fails in the guest, and nothing else does."""
    image = ext4()
    result = run("sh", "-c", "dd if=/dev/zero of=/big bs=64k count=64 conv=fsync 2>/dev/null || echo full",
                 options=["--rootfs", image + ":cow", "--disk", "1M"])
    assert result.status == 0 and result.stdout == b"full\n", repr(result)
    assert b"No space left" in result.stderr, repr(result)


@limit(600)
def test_a_scratch_disk_holds_writes():
    """A scratch disk is larger than what guest memory would hold; data written to it reads back."""
    result = run("sh", "-c", "df -k / | tail -n 1; dd if=/dev/zero of=/big bs=64k count=48 2>/dev/null;"
                 "sync; echo 3 2>/dev/null >/proc/sys/vm/drop_caches; stat -c %s /big; ls /bin/sh",
                 options=["--disk", "200M"])
    lines = result.expect(0).stdout.split(b"\n")
    assert 150000 < int(lines[0].split()[1]) < 204800, repr(result)
    assert lines[1:] == [b"3145728", b"/bin/sh", b""], repr(result)


@limit(900)
def test_a_queue_for_each_processor():
    """The guest uses as many disk queues as were requested; a restored sandbox has them too."""
    run("true", options=["--disk", "8M", "--disk-queues", "2"]).expect_error("--disk-queues", "--cpus 2")
    run("true", options=["--disk", "8M", "--disk-queues", "9"]).expect_error("--disk-queues")
    # Not random bytes: an emulated kernel takes half a minute to make that many.
    write = "seq 200000 | head -c 1048576 >/file & " \
            "dd if=/dev/zero of=/other bs=64k count=16 2>/dev/null; wait; sync; " \
            "echo 3 2>/dev/null >/proc/sys/vm/drop_caches; "
    two = ["--cpus", "2", "--disk", "8M", "--disk-queues", "2"]
    shown = run("sh", "-c", write + "stat -c %s /file /other", options=["--verbose", *two]).expect(0, b"1048576\n1048576\n")
    assert b"failed 0, 2 of 2 queues in use" in shown.stderr, shown
    shown = run("true", options=["--verbose", "--cold", "--cpus", "2", "--disk", "8M"]).expect(0)
    assert b"1 of 1 queues in use" in shown.stderr, shown
    one, other, snapshot = name(), name(), scratch("queues.snapshot")
    try:
        call("start", one, *two).expect(0)
        written = call("exec", one, "--", "sh", "-c", write + "md5sum </file").expect(0)
        call("snapshot", "--force", one, snapshot).expect(0)
        call("restore", snapshot, other).expect(0)
        call("exec", other, "--", "md5sum", "/file").expect(0, written.stdout.replace(b"-\n", b"/file\n"))
        call("exec", other, "--", "sh", "-c", write + "stat -c %s /file").expect(0, b"1048576\n")
    finally:
        call("kill", one)
        call("kill", other)


@limit(600)
def test_a_full_scratch_disk_is_no_space():
    run("sh", "-c", "dd if=/dev/zero of=/big bs=64k 2>&1 | grep -o 'No space left on device'; rm /big;"
        "echo small >/small && cat /small", options=["--disk", "2M"]) \
        .expect(0, b"No space left on device\nsmall\n")


@limit(600)
def test_an_image_with_a_scratch_disk():
    image = ext4()
    run("sh", "-c", "df -k / | tail -n 1; cat /marker; echo w >/w; sync; cat /w",
        options=["--rootfs", image, "--disk", "64M"]).expect(0)


@limit(900)
def test_snapshots_take_their_disks_along():
    image, box, other, file = ext4(), name(), name(), scratch("snapshot")
    times = os.stat(image)
    try:
        call("start", box, "--rootfs", image + ":cow").expect(0)
        call("exec", box, "--", "sh", "-c", "echo kept >/kept; sync").expect(0)
        call("snapshot", "--force", box, file).expect(0)
        call("exec", box, "--", "sh", "-c", "echo later >/kept; sync").expect(0)
        call("kill", box).expect(0)
        # The user says which image it is, not the snapshot file.
        call("restore", file, other).expect_error("--rootfs", image)
        call("restore", "--rootfs", image, file, other).expect(0)
        call("exec", other, "--", "sh", "-c", "cat /kept /marker").expect(0, b"kept\nfrom the image\n")
        call("fork", other, "1").expect(0)
        call("exec", other + "-1", "--", "sh", "-c", "cat /kept; echo f >/kept; cat /kept") \
            .expect(0, b"kept\nf\n")
        call("exec", other, "--", "cat", "/kept").expect(0, b"kept\n")
        call("kill", other).expect(0)
        os.utime(image)
        call("restore", "--rootfs", image, file, other).expect_error("changed since")
        # Damage to a disk's data, behind guest memory at the end of the file, is found.
        os.utime(image, ns=(times.st_atime_ns, times.st_mtime_ns))
        with open(file, "r+b") as snapshot:
            snapshot.seek(-1, os.SEEK_END)
            last = snapshot.read(1)
            snapshot.seek(-1, os.SEEK_END)
            snapshot.write(bytes([last[0] ^ 1]))
        call("restore", "--rootfs", image, file, other).expect_error("checksum of a disk")
    finally:
        for victim in (box, other, other + "-1"):
            call("kill", victim)


@limit(900)
def test_the_policy_limits_disks():
    """limit disk= holds for policy set, restore and fork; each refusal stands beside a disk that is allowed."""
    box, other, file = name(), name(), scratch("snapshot")
    small = scratch("small.policy", b"policy 1\nlimit disk=8M\n")
    large = scratch("large.policy", b"policy 1\nlimit disk=16M\n")
    try:
        call("start", box, "--policy", large).expect(0)
        call("policy", "set", box, small).expect_error("16M of disk", "allows 8M")
        call("policy", "set", box, large).expect(0)
        call("exec", box, "--", "sh", "-c", "echo kept >/kept; sync").expect(0)
        call("snapshot", "--force", box, file).expect(0)
        call("restore", "--policy", small, file, other).expect_error("16M of disk", "allows 8M")
        call("restore", "--policy", large, file, other).expect(0)
        call("exec", other, "--", "cat", "/kept").expect(0, b"kept\n")
        call("kill", other).expect(0)
        call("fork", "--policy", small, box, "1").expect_error("16M of disk", "allows 8M")
        call("fork", box, "1").expect(0)
        # A table that refers twice to the same data of the file is refused.
        with open(file, "rb") as snapshot:
            data = bytearray(snapshot.read())
        first = section(data, 8) + 7 * 8 + 2 + 4
        struct.pack_into("<Q", data, first + 28 + 16, struct.unpack_from("<Q", data, first + 16)[0])
        with open(file, "wb") as snapshot:
            snapshot.write(seal(data))
        call("restore", file, other).expect_error("table of a disk makes no sense")
    finally:
        for victim in (box, other, box + "-1"):
            call("kill", victim)


@limit(cordon.many(900, 3600))
def test_a_snapshot_under_block_traffic():
    """A snapshot during disk writes: both sandboxes go on with a sound file system and the synced data."""
    box, other, file = name(), name(), scratch("snapshot")
    loop = ("i=0; while :; do dd if=/dev/urandom of=/new bs=4k count=8 conv=fsync 2>/dev/null; mv /new /load;"
            "i=$((i+1)); echo $i; done")
    try:
        call("start", box, "--disk", "16M").expect(0)
        call("exec", box, "--", "sh", "-c", "echo first >/first; sync").expect(0)
        load = cordon.Process("exec", box, "--", "sh", "-c", loop)
        load.wait_output(b"2\n")
        call("snapshot", "--force", box, file).expect(0)
        # The original goes on,
        seen = len(load.output["stdout"])
        wait_until(lambda: len(load.output["stdout"]) > seen + 2, "more writes", 120)
        call("exec", box, "--", "sh", "-c", "cat /first; stat -c %s /load").expect(0, b"first\n32768\n")
        # and so do the restored ones, with a write that was under way.
        for _ in range(cordon.many(2, 50)):
            call("restore", file, other).expect(0)
            call("exec", other, "--", "sh", "-c",
                 "cat /first; dd if=/dev/zero of=/more bs=4k count=4 conv=fsync 2>/dev/null && stat -c %s /more") \
                .expect(0, b"first\n16384\n")
            call("kill", other).expect(0)
    finally:
        for victim in (box, other):
            call("kill", victim)


def test_invalid_images_are_refused():
    nothing = scratch("nothing", bytes(1 << 20))
    run("true", options=["--rootfs", "/no/such/image"]).expect_error("no such file")
    run("true", options=["--rootfs", nothing]).expect_error("ext4, squashfs or erofs", nothing)
    run("true", options=["--rootfs", scratch("odd", b"x" * 1000) + ":ext4"]).expect_error("512")
    run("true", options=["--rootfs", scratch("empty") + ":ext4"]).expect_error("0 bytes")
    run("true", options=["--rootfs", "/dev/null"]).expect_error("neither")
    run("true", options=["--disk", "10"]).expect_error("1M")
    run("true", options=["--disk", "much"]).expect_error("not a size")
    run("true", options=["--disk-rate", "1M:x", "--disk", "1M"]).expect_error("whole number")


@limit(600)
def test_a_file_system_that_the_guest_refuses():
    """The error names a file system that the guest refuses; the template is not blamed for it."""
    nothing = scratch("nothing", bytes(1 << 20))
    for kind, words in ((":ext4", ("sound ext4", nothing)), (":erofs", ("does not find a sound erofs",))):
        result = run("true", options=["--rootfs", nothing + kind]).expect_error(*words, lines=None)
        assert b"template" not in result.stderr, repr(result)
    warm = run("true", options=["--verbose"]).expect(0)
    assert b"agent ready" in warm.stderr and b"template" not in warm.stderr, repr(warm)


@limit(600)
def test_an_image_that_is_cut_while_it_is_used():
    """An image that is truncated while in use: reads fail in the guest; sandbox and monitor go on."""
    image, box = ext4(), name()
    try:
        call("start", box, "--rootfs", image).expect(0)
        call("exec", box, "--", "cat", "/marker").expect(0, b"from the image\n")
        os.truncate(image, 4096)
        result = call("exec", box, "--", "/bin/busybox", "md5sum", "/bin/busybox")
        assert result.status != 0, repr(result)
        assert call("ps").expect(0).stdout.count(box.encode()) == 1
    finally:
        call("kill", box)


@limit(600)
def test_a_rate_limit_holds():
    """--disk-rate: 1 MiB at 256 KiB a second, of which a burst passes at once, takes at least 2 s."""
    result = run("sh", "-c", "dd if=/dev/zero of=/data bs=64k count=16 conv=fsync 2>/dev/null; echo done",
                 options=["--disk", "16M", "--disk-rate", "256K"])
    result.expect(0, b"done\n")
    assert result.seconds > 2, repr(result)
