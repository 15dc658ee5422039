/* SPDX-License-Identifier: Apache-2.0 */
/* What an archive of an image has, and whether it is one: or a root file system as it is. */
#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/signals.h"
#include "vmm/image/source.h"
#include "vmm/image/source_internal.h"
#include "vmm/image/tar.h"
#include "vmm/image/unpack.h"

/* --- reading ---------------------------------------------------------------------------------- */

/* Reads the archive at its own offset; skipping just advances it. */
struct scan {
	int fd;
	uint64_t at, size;
};

static ssize_t scan_read(void *arg, void *to, size_t length, struct err *err)
{
	struct scan *scan = arg;
	ssize_t n;

	if (signals_arrived())
		return err_set(err, EINTR, "interrupted");
	n = fd_pread_full(scan->fd, to, length, (off_t)scan->at);

	if (n < 0)
		return err_code(err, (int)-n, "reading the archive");
	scan->at += (uint64_t)n;
	return n;
}

static int scan_skip(void *arg, uint64_t bytes, struct err *err)
{
	struct scan *scan = arg;

	if (!range_within(scan->at, bytes, scan->size))
		return err_set(err, EPROTO, "the archive is truncated");
	scan->at += bytes;
	return 0;
}

/* A name without leading "./" and "/": it counts from the archive's root. */
static const char *from_root(const char *name)
{
	while (name[0] == '/' || (name[0] == '.' && name[1] == '/'))
		name++;
	return name;
}

/* A longer name than fits is none that an image uses. */
static bool copy_name(char to[IMAGE_NAME_MAX + 1], const char *from)
{
	size_t length;

	from = from_root(from);
	length = strlen(from);
	if (length == 0 || length > IMAGE_NAME_MAX)
		return false;
	memcpy(to, from, length + 1);
	return true;
}

/* `docker save` stores a layer that occurs twice as a link "../ID/layer.tar". */
static bool copy_target(char to[IMAGE_NAME_MAX + 1], const char *name, const char *link,
			bool symlink)
{
	char joined[IMAGE_NAME_MAX + PATH_MAX];
	const char *slash = strrchr(name, '/');
	size_t directory = slash ? (size_t)(slash - name) : 0;

	if (!symlink)
		return copy_name(to, link);
	if (strlen(link) > IMAGE_NAME_MAX || link[0] == '/')
		return false;
	while (strncmp(link, "../", 3) == 0) {
		if (directory == 0)
			return false;
		link += 3;
		while (directory > 0 && name[--directory] != '/')
			;
	}
	snprintf(joined, sizeof(joined), "%.*s%s%s", (int)directory, name, directory ? "/" : "",
		 link);
	return copy_name(to, joined);
}

/* --- entries ---------------------------------------------------------------------------------- */

struct contents {
	struct image_source *source;
	struct scan scan;
	struct tar_sparse *sparse;
	bool too_many, has_sparse; /* which an image's archive must not */
	bool described;		   /* it has a description of an image */
	bool docker_export;	   /* `docker export` puts an empty /.dockerenv there */
	bool root;		   /* it has directories of a root file system */
	uint16_t machine;	   /* of the first program, but rather x86-64; 0: none found */
};

/* Also a layer that an older `docker save` stored as a link, whose target is in the archive. */
static int add_file(struct contents *contents, const struct tar_entry *entry)
{
	struct image_source *source = contents->source;
	struct image_source_file *file;

	if (source->count == IMAGE_SOURCE_FILES_MAX) {
		contents->too_many = true;
		return 0;
	}
	file = &source->files[source->count];
	*file = (struct image_source_file){.at = contents->scan.at, .size = entry->size};
	if (!copy_name(file->name, entry->name))
		return 0;
	if ((entry->type == TAR_LINK || entry->type == TAR_SYMLINK) &&
	    !copy_target(file->link, file->name, entry->link, entry->type == TAR_SYMLINK))
		return 0;
	source->count++;
	return 0;
}

static bool is_one_of(const char *name, size_t length, const char *const *names)
{
	for (; *names; names++)
		if (strlen(*names) == length && memcmp(*names, name, length) == 0)
			return true;
	return false;
}

static void look_at_name(struct contents *contents, const struct tar_entry *entry)
{
	static const char *const descriptions[] = {"manifest.json", "index.json", NULL};
	static const char *const roots[] = {"bin",  "dev", "etc", "lib", "lib64", "proc",
					    "sbin", "sys", "usr", "var", NULL};
	const char *name = from_root(entry->name);
	size_t first = strcspn(name, "/");

	if (is_one_of(name, strlen(name), descriptions))
		contents->described = true;
	if (strcmp(name, ".dockerenv") == 0)
		contents->docker_export = true;
	if (is_one_of(name, first, roots) && (name[first] || entry->type != TAR_FILE))
		contents->root = true;
}

/* A number of the header as the program's machine has it: s390x, for one, is big-endian. */
static uint16_t in_order(const Elf64_Ehdr *header, uint16_t number)
{
	return header->e_ident[EI_DATA] == ELFDATA2MSB ? __builtin_bswap16(number) : number;
}

/* The machine that programs are for, since nothing else in a root file system tells it. */
static void look_at_program(struct contents *contents, const struct tar_entry *entry)
{
	Elf64_Ehdr header;
	uint16_t type, machine;

	if (contents->machine == EM_X86_64 || entry->size < sizeof(header) || entry->sparse)
		return;
	if (fd_pread_full(contents->scan.fd, &header, sizeof(header), (off_t)contents->scan.at) !=
		    (ssize_t)sizeof(header) ||
	    memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
		return;
	type = in_order(&header, header.e_type);
	machine = in_order(&header, header.e_machine);
	if (type != ET_EXEC && type != ET_DYN)
		return;
	if (!contents->machine || machine == EM_X86_64)
		contents->machine = machine;
}

static int take_entry(struct contents *contents, const struct tar_entry *entry, struct err *err)
{
	look_at_name(contents, entry);
	if (entry->sparse) {
		contents->has_sparse = true;
		return 0;
	}
	if (entry->type == TAR_FILE &&
	    !range_within(contents->scan.at, entry->size, contents->scan.size))
		return err_set(err, EPROTO, "the archive is truncated");
	if (entry->type == TAR_FILE)
		look_at_program(contents, entry);
	return entry->type != TAR_DIRECTORY && entry->type != TAR_OTHER ? add_file(contents, entry)
									: 0;
}

/* --- the whole archive ------------------------------------------------------------------------ */

static int read_entries(struct contents *contents, struct err *err)
{
	const struct tar_input input = {
		.read = scan_read,
		.skip = scan_skip,
		.arg = &contents->scan,
	};
	struct tar_entry *entry = malloc(sizeof(*entry));
	struct tar_reader reader;
	uint64_t entries = 0;
	int ret;

	if (!entry)
		return err_set(err, ENOMEM, "out of memory");
	tar_reader_init_input(&reader, &input);
	reader.end_optional = true;
	reader.sparse = contents->sparse;
	while ((ret = tar_next(&reader, entry, err)) == 1) {
		if (++entries > image_limits_default.entries)
			ret = err_set(err, E2BIG, "more than %llu entries",
				      (unsigned long long)image_limits_default.entries);
		else
			ret = take_entry(contents, entry, err);
		if (ret < 0)
			break;
	}
	free(entry);
	return ret;
}

static const char *machine_name(uint16_t machine)
{
	static const struct {
		uint16_t machine;
		const char *name;
	} names[] = {
		{EM_AARCH64, "arm64"}, {EM_ARM, "arm"},	      {EM_386, "386"},
		{EM_RISCV, "riscv64"}, {EM_PPC64, "ppc64le"}, {EM_S390, "s390x"},
		{EM_MIPS, "mips64"},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (names[i].machine == machine)
			return names[i].name;
	return "unknown";
}

static int conclude(const struct contents *contents, struct err *err)
{
	struct image_source *source = contents->source;

	source->flat = contents->docker_export || (contents->root && !contents->described);
	if (source->flat && contents->machine && contents->machine != EM_X86_64)
		return err_set(err, ENOTSUP,
			       "its programs are for linux/%s: only linux/amd64 can run here",
			       machine_name(contents->machine));
	if (source->flat)
		return 0;
	if (contents->too_many)
		return err_set(err, E2BIG, "more than %d files: not an image",
			       IMAGE_SOURCE_FILES_MAX);
	return contents->has_sparse ? err_set(err, ENOTSUP, "it has sparse files") : 0;
}

int image_source_scan(struct image_source *source, uint64_t size, struct err *err)
{
	struct contents contents = {
		.source = source,
		.scan = {.fd = source->fd, .size = size},
		.sparse = malloc(sizeof(*contents.sparse)),
	};
	int ret;

	source->files = calloc(IMAGE_SOURCE_FILES_MAX, sizeof(*source->files));
	source->size = size;
	ret = source->files && contents.sparse ? read_entries(&contents, err)
					       : err_set(err, ENOMEM, "out of memory");
	free(contents.sparse);
	return ret < 0 ? ret : conclude(&contents, err);
}
