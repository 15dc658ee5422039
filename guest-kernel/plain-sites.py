#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Turns the branch sites of a built vmlinux into plain branches.

The compiler writes every indirect call, indirect jump and return of the kernel as a branch to a
thunk, and objtool lists those places in .retpoline_sites and .return_sites. On processors that need
no thunks (most newer ones) the kernel turns each of them into the plain instruction at every boot,
which is a large part of a small guest's boot. This script does it once, in the file. A kernel with our
patch then patches the sites only on processors that do need thunks.

usage: plain-sites.py VMLINUX      (the file is changed in place)
"""

import struct
import sys

SHF_ALLOC = 2
SHT_SYMTAB = 2
NOPS = {0: b"", 1: b"\x90", 2: b"\x66\x90", 3: b"\x0f\x1f\x00"}


class Vmlinux:
    """An ELF64 file, addressed by virtual address."""

    def __init__(self, data):
        self.data = data
        if data[:6] != b"\x7fELF\x02\x01":
            raise ValueError("not a 64-bit ELF file")
        (offset,) = struct.unpack_from("<Q", data, 0x28)
        size, count, names = struct.unpack_from("<HHH", data, 0x3A)
        fields = [struct.unpack_from("<IIQQQQIIQQ", data, offset + i * size) for i in range(count)]
        strings = fields[names][4]
        self.sections = {}
        self.all = fields
        for f in fields:
            end = data.index(b"\0", strings + f[0])
            self.sections[bytes(data[strings + f[0] : end]).decode()] = f

    def offset(self, address):
        for _, kind, flags, start, offset, size, *_ in self.all:
            if flags & SHF_ALLOC and kind != 8 and start <= address < start + size:
                return offset + address - start
        raise ValueError(f"address {address:#x} is in no section")

    def symbols(self, wanted):
        """Addresses of the symbols that wanted(name) accepts, by name."""
        found = {}
        for _, kind, _, _, offset, size, link, *_ in self.all:
            if kind != SHT_SYMTAB:
                continue
            strings = self.all[link][4]
            for at in range(offset, offset + size, 24):
                name, _, _, _, value, _ = struct.unpack_from("<IBBHQQ", self.data, at)
                end = self.data.index(b"\0", strings + name)
                text = bytes(self.data[strings + name : end]).decode()
                if wanted(text):
                    found[text] = value
        return found

    def sites(self, section):
        """The addresses that a section of 32-bit self-relative offsets lists."""
        _, _, _, start, offset, size, *_ = self.sections[section]
        for at in range(0, size, 4):
            (relative,) = struct.unpack_from("<i", self.data, offset + at)
            yield start + at + relative


REGISTERS = ("ax cx dx bx sp bp si di".split()) + [str(n) for n in range(8, 16)]


def branch(data, at, address, thunks):
    """The plain form of the thunk branch at this place: bytes of the same length."""
    prefix = 1 if data[at] == 0x2E else 0
    opcode = data[at + prefix]
    if opcode not in (0xE8, 0xE9):
        raise ValueError(f"{address:#x}: neither call nor jump: {data[at:at + 6].hex()}")
    (relative,) = struct.unpack_from("<i", data, at + prefix + 1)
    length = prefix + 5
    target = address + length + relative
    if target not in thunks:
        raise ValueError(f"{address:#x}: {target:#x} is not a thunk")
    register = thunks[target]
    # The kernel derives the length of the original from the register, so they must agree.
    if (register >= 8) != bool(prefix):
        raise ValueError(f"{address:#x}: register {register}, prefix {prefix}")
    plain = b"\x41" if register >= 8 else b""
    plain += bytes((0xFF, (0xD0 if opcode == 0xE8 else 0xE0) + (register & 7)))
    if opcode == 0xE9:
        plain += b"\xcc"
    return plain + NOPS[length - len(plain)]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], "rb") as f:
        elf = Vmlinux(bytearray(f.read()))
    data = elf.data
    symbols = elf.symbols(
        lambda n: n in ("plain_branch_sites", "__x86_return_thunk") or n.startswith("__x86_indirect_thunk_r")
    )
    thunks = {symbols[f"__x86_indirect_thunk_r{name}"]: n for n, name in enumerate(REGISTERS)
              if f"__x86_indirect_thunk_r{name}" in symbols}
    changes = []
    for address in elf.sites(".return_sites"):
        at = elf.offset(address)
        (relative,) = struct.unpack_from("<i", data, at + 1)
        if data[at] != 0xE9 or address + 5 + relative != symbols["__x86_return_thunk"]:
            raise ValueError(f"{address:#x}: not a jump to the return thunk")
        changes.append((at, b"\xc3\xcc\xcc\xcc\xcc"))
    returns = len(changes)
    for address in elf.sites(".retpoline_sites"):
        at = elf.offset(address)
        changes.append((at, branch(data, at, address, thunks)))
    for at, new in changes:
        data[at : at + len(new)] = new
    struct.pack_into("<I", data, elf.offset(symbols["plain_branch_sites"]), 1)
    with open(sys.argv[1], "r+b") as f:
        f.write(data)
    print(f"{returns} returns and {len(changes) - returns} indirect branches made plain")


if __name__ == "__main__":
    try:
        main()
    except (OSError, ValueError, KeyError, struct.error) as e:
        sys.exit(f"plain-sites.py: {e}")
