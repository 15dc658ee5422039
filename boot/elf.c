/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/elf.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "boot/layout.h"
#include "vmm/base/bytes.h"

bool elf_is_elf(const void *bytes, uint64_t length)
{
	return length >= SELFMAG && memcmp(bytes, ELFMAG, SELFMAG) == 0;
}

/* Kernel and host are both little endian, so the structs need no conversion. */
static int check_header(const Elf64_Ehdr *header, const struct boot_image *image, struct err *err)
{
	const char *name = image->name;

	if (!elf_is_elf(header->e_ident, sizeof(header->e_ident)))
		return err_set(err, ENOEXEC, "%s is not an ELF file", name);
	if (header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_ident[EI_DATA] != ELFDATA2LSB ||
	    header->e_machine != EM_X86_64)
		return err_set(err, ENOEXEC,
			       "%s is an ELF file for another processor (machine %u, class %u): "
			       "an x86-64 vmlinux is needed",
			       name, header->e_machine, header->e_ident[EI_CLASS]);
	if (header->e_type != ET_EXEC)
		return err_set(err, ENOEXEC,
			       "%s is an ELF file of type %u, not an executable: give the vmlinux "
			       "from the top of a built kernel tree",
			       name, header->e_type);
	if (header->e_phentsize != sizeof(Elf64_Phdr))
		return err_set(err, ENOEXEC, "%s: program headers of %u bytes instead of %zu", name,
			       header->e_phentsize, sizeof(Elf64_Phdr));
	if (header->e_phnum == 0 || header->e_phnum > ELF_SEGMENTS_MAX)
		return err_set(err, ENOEXEC, "%s: %u program headers; 1 to %u are accepted", name,
			       header->e_phnum, ELF_SEGMENTS_MAX);
	return 0;
}

static uint64_t memory_top(const struct guest_memory *memory)
{
	const struct guest_region *last;

	if (memory->count == 0)
		return 0;
	last = &memory->region[memory->count - 1];
	return last->gpa + last->size;
}

static int check_segment(const Elf64_Phdr *header, unsigned number, const struct boot_image *image,
			 const struct guest_memory *memory, struct err *err)
{
	const char *name = image->name;
	uint64_t end;

	if (header->p_filesz > header->p_memsz)
		return err_set(err, ENOEXEC,
			       "%s: segment %u has more bytes in the file (0x%" PRIx64
			       ") than in memory (0x%" PRIx64 ")",
			       name, number, header->p_filesz, header->p_memsz);
	if (!range_within(header->p_offset, header->p_filesz, image->size))
		return err_set(err, ENOEXEC,
			       "%s is truncated: segment %u needs 0x%" PRIx64
			       " bytes at offset 0x%" PRIx64 ", the file has 0x%" PRIx64,
			       name, number, header->p_filesz, header->p_offset, image->size);
	if (add_overflows(header->p_paddr, header->p_memsz, &end))
		return err_set(err, ENOEXEC,
			       "%s: segment %u wraps around the end of the address space "
			       "(0x%" PRIx64 " + 0x%" PRIx64 ")",
			       name, number, header->p_paddr, header->p_memsz);
	if (header->p_paddr < LAYOUT_HIGH_START)
		return err_set(err, ENOEXEC,
			       "%s: segment %u at 0x%" PRIx64
			       " overlaps the boot tables, which lie "
			       "below 0x%llx: use a kernel with PHYSICAL_START of 1 MiB or more",
			       name, number, header->p_paddr, LAYOUT_HIGH_START);
	if (!guest_memory_at(memory, header->p_paddr, header->p_memsz))
		return err_set(err, ENOMEM,
			       "%s: segment %u (0x%" PRIx64 " to 0x%" PRIx64
			       ") lies outside the guest's memory, which ends at 0x%" PRIx64
			       ": give the guest more memory",
			       name, number, header->p_paddr, end, memory_top(memory));
	return 0;
}

/* Inserts a segment in address order; refuses one that overlaps a neighbour. */
static int add_segment(struct elf_kernel *kernel, const Elf64_Phdr *header, unsigned number,
		       const char *name, struct err *err)
{
	uint64_t address = header->p_paddr, end = address + header->p_memsz;
	struct elf_segment *segment = kernel->segment;
	unsigned at = kernel->count;

	while (at > 0 && segment[at - 1].address >= address)
		at--;
	if ((at > 0 && segment[at - 1].address + segment[at - 1].memory_size > address) ||
	    (at < kernel->count && segment[at].address < end))
		return err_set(err, ENOEXEC,
			       "%s: segment %u (0x%" PRIx64 " to 0x%" PRIx64
			       ") overlaps another segment",
			       name, number, address, end);
	memmove(&segment[at + 1], &segment[at], (kernel->count - at) * sizeof(*segment));
	segment[at] = (struct elf_segment){.offset = header->p_offset,
					   .file_size = header->p_filesz,
					   .address = address,
					   .memory_size = header->p_memsz};
	kernel->count++;
	return 0;
}

static int check_entry(struct elf_kernel *kernel, const char *name, struct err *err)
{
	const struct elf_segment *segment;
	unsigned i;

	if (kernel->count == 0)
		return err_set(err, ENOEXEC, "%s: no segment to load (PT_LOAD)", name);
	for (i = 0; i < kernel->count; i++) {
		segment = &kernel->segment[i];
		if (kernel->entry >= segment->address &&
		    kernel->entry - segment->address < segment->file_size)
			break;
	}
	if (i == kernel->count)
		return err_set(err, ENOEXEC,
			       "%s: the entry point 0x%" PRIx64 " is not inside a loaded segment",
			       name, kernel->entry);
	kernel->start = kernel->segment[0].address;
	segment = &kernel->segment[kernel->count - 1];
	kernel->end = segment->address + segment->memory_size;
	return 0;
}

int elf_parse(struct elf_kernel *kernel, const struct boot_image *image,
	      const struct guest_memory *memory, struct err *err)
{
	Elf64_Phdr headers[ELF_SEGMENTS_MAX];
	Elf64_Ehdr header;
	unsigned i;
	int ret;

	*kernel = (struct elf_kernel){.count = 0};
	ret = boot_image_read(image, 0, &header, sizeof(header), err);
	if (ret == 0)
		ret = check_header(&header, image, err);
	if (ret == 0)
		ret = boot_image_read(image, header.e_phoff, headers,
				      header.e_phnum * sizeof(headers[0]), err);
	for (i = 0; ret == 0 && i < header.e_phnum; i++) {
		if (headers[i].p_type != PT_LOAD || headers[i].p_memsz == 0)
			continue;
		ret = check_segment(&headers[i], i, image, memory, err);
		if (ret == 0)
			ret = add_segment(kernel, &headers[i], i, image->name, err);
	}
	if (ret < 0)
		return ret;
	kernel->entry = header.e_entry;
	return check_entry(kernel, image->name, err);
}

int elf_load(const struct elf_kernel *kernel, const struct boot_image *image,
	     struct guest_memory *memory, uint64_t *mapped, uint64_t *copied, struct err *err)
{
	const struct elf_segment *segment;
	unsigned i;
	int ret = 0;

	*mapped = 0;
	*copied = 0;
	for (i = 0; ret == 0 && i < kernel->count; i++) {
		segment = &kernel->segment[i];
		ret = boot_image_place(image, segment->offset, memory, segment->address,
				       segment->file_size, mapped, copied, err);
	}
	return ret;
}
