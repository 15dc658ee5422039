# SPDX-License-Identifier: Apache-2.0
"""Handmade kernels: an ELF file with a few instructions, or an ELF file with one thing wrong in it.

Field names and sizes are those of elf(5). A kernel is entered in 64-bit mode, without an IDT.
"""
import struct

import cordon

START = 16 << 20                            # load address of the segment, and the entry point
X86_64, AARCH64 = 62, 183
PT_LOAD = 1

# Instructions. Ports are those of boot/layout.h.
POWER_OFF = b"\x66\xba\x04\x06" b"\x66\xb8\x00\x20" b"\x66\xef"     # mov dx,604; mov ax,2000; out dx,ax
RESET = b"\xb0\xfe" b"\xe6\x64"                                    # mov al,fe; out 64,al
HALT = b"\xfa" b"\xf4"                                             # cli; hlt
CRASH = b"\x0f\x0b"                                                # ud2
SLEEP = b"\xfb" b"\xf4" b"\xeb\xfd"                                # sti; hlt; jmp to the hlt
SPIN = b"\xeb\xfe"                                                 # jmp .


def say(text):
    """Instructions that print `text` on the serial port."""
    data = text.encode() + b"\0"
    loop = b"\xac" b"\x84\xc0" b"\x74\x03" b"\xee" b"\xeb\xf8"     # lodsb; test al; jz end; out; jmp
    head = b"\x66\xba\xf8\x03" b"\x48\x8d\x35" + struct.pack("<i", len(loop) + 2)
    return head + loop + b"\xeb" + bytes([len(data)]) + data       # jmp over the text


def load(data=SPIN, paddr=START, **fields):
    """A PT_LOAD program header and its data. Fields that are not given fit the data."""
    return dict(type=PT_LOAD, flags=7, offset=None, vaddr=paddr, paddr=paddr, filesz=len(data),
                memsz=len(data), align=4096, data=data) | fields


def elf(*segments, entry=START, machine=X86_64, kind=2, elf_class=2, phnum=None, phoff=64,
        phentsize=56):
    """An ELF file with these segments, each page-aligned in the file."""
    body = bytearray()
    headers = b""
    for segment in segments:
        offset = 4096 + len(body)
        body += segment["data"] + b"\0" * (-len(segment["data"]) % 4096)
        if segment["offset"] is None:
            segment["offset"] = offset
        headers += struct.pack("<IIQQQQQQ", *(segment[name] for name in (
            "type", "flags", "offset", "vaddr", "paddr", "filesz", "memsz", "align")))
    ident = b"\x7fELF" + bytes([elf_class, 1, 1]) + bytes(9)
    header = ident + struct.pack("<HHIQQQIHHHHHH", kind, machine, 1, entry, phoff, 0, 0, 64, phentsize,
                                 len(segments) if phnum is None else phnum, 64, 0, 0)
    return (header + headers).ljust(4096, b"\0") + bytes(body)


def kernel(code):
    """A scratch file with a valid kernel that executes `code` and then spins."""
    return cordon.scratch("kernel", elf(load(code + SPIN)))
