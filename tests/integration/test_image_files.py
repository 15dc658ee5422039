# SPDX-License-Identifier: Apache-2.0
"""What a sandbox sees of an OCI image: a file on a disk, which all its sandboxes share and none can change."""
import io
import os
import random
import stat
import tarfile

import cordon
from cordon import limit, run, scratch, work
from images import BUSYBOX, busybox_layers, docker_archive, oci_layout, removed
from sandboxes import execute, ps, sandbox

TIME = 1234567890.25
CAPABILITY = bytes.fromhex("0100000200100000000000000000000000000000")     # version 2: cap_net_admin, effective
KINDS = {tarfile.REGTYPE: stat.S_IFREG, tarfile.SYMTYPE: stat.S_IFLNK, tarfile.DIRTYPE: stat.S_IFDIR,
         tarfile.FIFOTYPE: stat.S_IFIFO, tarfile.CHRTYPE: stat.S_IFCHR, tarfile.BLKTYPE: stat.S_IFBLK}


class Layers:
    """Layers of an image, and what a sandbox shows of them."""

    def __init__(self):
        self.layers, self.files, self.tar = [], {}, None

    def begin(self):
        if self.tar:
            self.tar.close()
        self.layers.append(io.BytesIO())
        self.tar = tarfile.open(fileobj=self.layers[-1], mode="w", format=tarfile.PAX_FORMAT)

    def add(self, name, kind=tarfile.REGTYPE, data=b"", mode=0o644, owner=(0, 0), device=(0, 0), attributes=(),
            time=TIME):
        info = tarfile.TarInfo(name)
        info.type, info.mode, info.mtime = kind, mode, time
        info.uid, info.gid = owner
        info.devmajor, info.devminor = device
        info.pax_headers = {f"SCHILY.xattr.{key}": value.decode("utf-8", "surrogateescape") for key, value in attributes}
        if kind == tarfile.REGTYPE:
            info.size = len(data)
        else:
            info.linkname = data or ""
        self.tar.addfile(info, io.BytesIO(data) if kind == tarfile.REGTYPE else None)
        if kind == tarfile.LNKTYPE:
            self.files[name] = self.files[data]
            self.files[name]["links"] += 1
        else:
            self.files[name] = {"kind": kind, "data": data, "mode": mode, "owner": owner, "device": device,
                                "attributes": dict(attributes), "time": time, "links": 1}

    def hide(self, name):
        directory, last = os.path.split(name)
        info = tarfile.TarInfo(os.path.join(directory, ".wh." + last))
        self.tar.addfile(info)
        del self.files[name]

    def archive(self, path, **settings):
        self.tar.close()
        return docker_archive(path, [layer.getvalue() for layer in self.layers], **settings)

    def shown(self, top, seen=lambda owner: owner):
        """The lines that programs/look.c prints for `top`, sorted."""
        lines = []
        for name, file in self.files.items():
            if name != top and not name.startswith(top + "/"):
                continue
            value = {tarfile.REGTYPE: lambda file=file: f"{fnv(file['data']):016x}",
                     tarfile.SYMTYPE: lambda file=file: file["data"],
                     tarfile.DIRTYPE: lambda name=name: str(2 + sum(os.path.dirname(other) == name for other in self.files)),
                     }.get(file["kind"], lambda: None)()
            directory, link = file["kind"] == tarfile.DIRTYPE, file["kind"] == tarfile.SYMTYPE
            words = ["/" + name, f"{KINDS[file['kind']] | (0o777 if link else file['mode']):o}",
                     *(str(seen(owner)) for owner in file["owner"]),
                     "%d:%d" % file["device"], str(0 if directory else file["links"]),
                     f"{int(file['time'])}.{int(file['time'] % 1 * 10 ** 9):09d}"]
            words += [value] if value is not None else []
            words += [f"{key}={value.hex()}" for key, value in sorted(file["attributes"].items())]
            lines.append(" ".join(words))
        return sorted(lines)


def fnv(data):
    value = 0xcbf29ce484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001b3) % 2 ** 64
    return value


def read(path):
    with open(path, "rb") as file:
        return file.read()


def everything():
    """An image with files of all kinds, sizes and attributes below /t, in two layers."""
    image, noise = Layers(), random.Random(1)
    image.begin()
    for name, mode in (("bin", 0o755), ("t", 0o755), ("t/d", 0o755), ("t/sticky", 0o1777), ("t/group", 0o2775),
                       ("t/private", 0o700), ("t/old", 0o755), ("t/all", 0o755)):
        image.add(name, tarfile.DIRTYPE, mode=mode)
    image.add("etc/passwd", data=b"root:x:0:0::/:/bin/sh\nowner:x:77:78::/:/bin/sh\nother:x:1000:1000::/:/bin/sh\n")
    image.add("bin/busybox", data=read(BUSYBOX), mode=0o755)
    image.add("bin/look", data=read(cordon.program("look")), mode=0o755)
    for name in ("sh", "cat", "id", "chown", "chmod", "touch", "stat", "mknod"):
        image.add("bin/" + name, tarfile.SYMTYPE, "busybox")
    image.add("t/owned", data=b"x", mode=0o640, owner=(77, 78))
    image.add("t/highest", owner=(4294867294, 65536))
    image.add("t/private/inside", data=b"secret\n", mode=0o600, owner=(77, 77))
    image.add("t/link", tarfile.SYMTYPE, "owned", owner=(77, 78))
    image.add("t/far", tarfile.SYMTYPE, "/".join(["x" * 200] * 20), owner=(1, 1))
    image.add("t/dangling", tarfile.SYMTYPE, "/nowhere")
    image.add("t/setuid", tarfile.DIRTYPE, mode=0o755)
    image.add("t/setuid/busybox", data=read(BUSYBOX), mode=0o4755)
    image.add("t/setgid", data=b"x", mode=0o2755, owner=(3, 4))
    image.add("t/cap", data=b"x", mode=0o755, attributes=(("security.capability", CAPABILITY), ("user.note", b"a note")))
    image.add("t/null", tarfile.CHRTYPE, mode=0o666, device=(1, 3))
    image.add("t/disk", tarfile.BLKTYPE, mode=0o660, owner=(0, 6), device=(259, 70000))
    image.add("t/pipe", tarfile.FIFOTYPE, mode=0o600, owner=(9, 9))
    for size in (0, 1, 100, 2047, 2048, 2049, 4095, 4096, 4097, 8192, 65536 + 17, 300000):
        image.add(f"t/size{size}", data=noise.randbytes(size))
    image.add("t/zeros", data=bytes(200000))
    image.add("t/holes", data=b"a" + bytes(262143) + b"b" + bytes(131071))
    image.add("t/one", data=b"one file of three names\n", mode=0o600)
    image.add("t/d/two", tarfile.LNKTYPE, "t/one")
    image.add("t/" + "n" * 255, data=b"long")
    image.add("t/early", data=b"x", time=1)
    image.add("t/old/gone", data=b"below")
    image.add("t/old/kept", data=b"below")
    image.add("t/old/changed", data=b"below", mode=0o600, owner=(5, 5), attributes=(("user.old", b"1"),))
    image.add("t/all/a", data=b"below")
    for number in range(1000):
        image.add(f"t/d/file{number}", data=b"%d" % number)
    image.begin()
    image.hide("t/old/gone")
    image.add("t/old/changed", data=b"above", mode=0o644)
    image.add("t/three", tarfile.LNKTYPE, "t/one")
    image.add("t/all", tarfile.DIRTYPE, mode=0o711, owner=(2, 2))
    image.hide("t/all/a")
    image.add("t/all/new", data=b"above")
    return image


@limit(900)
def test_a_sandbox_sees_what_the_layers_say():
    """All kinds of files, with owners, modes, attributes, times, links and contents, are seen as the layers have them."""
    image, path = everything(), work("image.tar")
    with removed(image.archive(path, Env=["PATH=/bin"])):
        result = run("look", "/t", options=("--rootfs", path)).expect(0)
        assert not result.stderr, result.stderr
        assert sorted(result.stdout.decode().splitlines()) == image.shown("t")


@limit(900)
def test_an_image_gives_no_rights():
    """Set-id bits, capabilities and devices of an image have no effect; owners and modes have theirs."""
    image, path = everything(), work("image.tar")
    with removed(image.archive(path, Env=["PATH=/bin"])):
        script = ("busybox id -u; /t/setuid/busybox id -u; cat /t/private/inside; cat /t/null; cat /t/disk; echo >>/t/owned; "
                  "touch /t/new; touch /t/sticky/new && echo made")
        result = run("sh", "-c", script, options=("--rootfs", path, "--user", "other")).expect(0)
        assert result.stdout == b"1000\n1000\nmade\n", result
        for words in (b"inside': Permission denied", b"null': Permission denied", b"disk': Permission denied",
                      b"owned: Permission denied", b"/t/new: Permission denied"):
            assert words in result.stderr, result
        # The allowed twin: the owner reads it; sandbox root changes what it likes, in the overlay.
        run("cat", "/t/private/inside", options=("--rootfs", path, "--user", "owner")).expect(1)    # its directory is root's
        script = ("cat /t/private/inside; chown 5:6 /t/cap /t/link /t/setuid/busybox; chmod 600 /t/d/two; echo more >>/t/one; "
                  "stat -c '%u %g %a' /t/cap /t/setuid/busybox /t/one; cat /t/d/two /t/three; cat /t/null")
        result = run("sh", "-c", script, options=("--rootfs", path)).expect(1)
        assert result.stdout.startswith(b"secret\n5 6 755\n5 6 755\n0 0 600\none file of three names\n"), result


def disk_files(pid):
    """The image's file as a monitor has it open: (device, inode, access mode), each once."""
    found = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        link = os.readlink(f"/proc/{pid}/fd/{fd}")
        if link.endswith("/rootfs.erofs"):
            status = os.stat(f"/proc/{pid}/fd/{fd}")
            with open(f"/proc/{pid}/fdinfo/{fd}") as info:
                flags = next(int(line.split()[1], 8) for line in info if line.startswith("flags:"))
            found.add((status.st_dev, status.st_ino, flags & os.O_ACCMODE))
    return found


@limit(900)
def test_sandboxes_share_the_file_and_not_what_they_write():
    """Two sandboxes have the same file open, for reading; what one writes, the other does not see."""
    path = work("layout")
    image = oci_layout(path, busybox_layers(), Env=["PATH=/bin"])
    with removed(image):
        with sandbox("one", "--rootfs", path), sandbox("two", "--rootfs", path, "--disk", "16M"):
            files = {name: disk_files(ps()[name]["pid"]) for name in ("one", "two")}
            assert files["one"] == files["two"] and len(files["one"]) == 1, files
            assert {mode for _, _, mode in files["one"]} == {os.O_RDONLY}
            for name in ("one", "two"):
                execute(name, "sh", "-c", f"echo {name} >/old/kept; rm /all/new; echo {name} >/made; cat /old/kept").expect(
                    0, name.encode() + b"\n", b"")
            for name in ("one", "two"):
                execute(name, "sh", "-c", "cat /old/kept /made; ls /all").expect(0, f"{name}\n{name}\n".encode(), b"")
        run("cat", "/old/kept", "/all/new", options=("--rootfs", path)).expect(0, b"below\nabove\n", b"")


@limit(900)
def test_rules_for_the_files_of_an_image_are_refused():
    """The guest alone reads an image's file system, so that a rule for it would not hold; one for a share does."""
    path, shared = work("layout"), work("shared")
    os.makedirs(shared)
    share = f"policy 1\nshare {shared} /w\nfile write /w/**\n"
    with removed(oci_layout(path, busybox_layers()[:1], Env=["PATH=/bin"])):
        for policy in ("policy 1\nfile hide /etc/passwd\n", share + "file read /etc/**\n"):
            run("true", options=("--rootfs", path, "--policy", scratch("rules", policy.encode()))).expect_error("covers no share")
        run("sh", "-c", "echo x >/w/x; cat /w/x",
            options=("--rootfs", path, "--policy", scratch("rules", share.encode()))).expect(0, b"x\n", b"")
