#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Unpack the ELF kernel inside a bzImage: unpack-kernel.py BZIMAGE VMLINUX.

QEMU starts an ELF kernel directly (by its PVH note), which saves the emulated machine from
unpacking it. Fields: Documentation/arch/x86/boot.rst of Linux, "payload_offset", "payload_length".
"""
import bz2
import gzip
import lzma
import struct
import sys

# Four bytes with the unpacked size follow the payload; they are not part of the stream.
UNPACK = {
    b"\x1f\x8b": lambda data: gzip.zlib.decompressobj(31).decompress(data),
    b"\xfd7zXZ": lambda data: lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(data),
    b"BZh": lambda data: bz2.BZ2Decompressor().decompress(data),
}


def main():
    image = open(sys.argv[1], "rb").read()
    if len(image) < 0x250 or image[0x202:0x206] != b"HdrS":
        sys.exit(f"{sys.argv[1]}: not a bzImage")
    setup = (image[0x1F1] or 4) + 1
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = setup * 512 + offset
    payload = image[start:start + length]
    for magic, unpack in UNPACK.items():
        if payload.startswith(magic):
            elf = unpack(payload)
            break
    else:
        sys.exit(f"{sys.argv[1]}: unknown compression {payload[:6].hex()}")
    if elf[:4] != b"\x7fELF":
        sys.exit(f"{sys.argv[1]}: the payload is not an ELF file")
    with open(sys.argv[2], "wb") as out:
        out.write(elf)


main()
