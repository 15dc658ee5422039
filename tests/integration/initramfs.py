# SPDX-License-Identifier: Apache-2.0
"""Initramfs archives for guests of a test's own."""
import cordon


def cpio(files):
    """A `newc` archive (an initramfs) of {path: (mode, data)}; parent directories are added."""
    entries = {}
    for path, (mode, data) in files.items():
        parts = path.strip("/").split("/")
        for depth in range(1, len(parts)):
            entries.setdefault("/".join(parts[:depth]), (0o040755, b""))
        entries["/".join(parts)] = (0o100000 | mode, data)
    out = bytearray()
    for inode, (path, (mode, data)) in enumerate([*entries.items(), ("TRAILER!!!", (0, b""))], 1):
        name = path.encode() + b"\0"
        fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
        out += b"070701" + b"".join(b"%08X" % field for field in fields) + name
        out += b"\0" * (-len(out) % 4) + data
        out += b"\0" * (-len(out) % 4)
    return bytes(out)


def initrd_with(files):
    """Our initramfs with `files` appended, as a scratch file."""
    with open(cordon.INITRAMFS, "rb") as base:
        data = base.read()
    return cordon.scratch("initrd", data + b"\0" * (-len(data) % 512) + cpio(files))
