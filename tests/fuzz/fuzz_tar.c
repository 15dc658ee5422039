/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tar streams of a guest: some valid entries, some bytes changed, header checksums made right again
 * or not. What the parser returns must be whole and bounded.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/image/tar.h"

#define STREAM_MAX (16u << 10)

static const char *some_records(struct fuzz_script *script)
{
	static const char *const records[] = {
		"12 path=a/b\n",
		"28 SCHILY.xattr.user.x=abcd\n20 mtime=-12345.678\n",
		"22 GNU.sparse.size=99\n27 GNU.sparse.map=3,5,60,0\n",
		"22 GNU.sparse.size=99\n24 GNU.sparse.offset=10\n25 GNU.sparse.numbytes=5\n",
		"22 GNU.sparse.major=1\n22 GNU.sparse.minor=0\n31 GNU.sparse.realsize=1000000\n",
	};

	return records[fuzz_below(script, ARRAY_SIZE(records))];
}

static size_t make_stream(struct fuzz_script *script, int fd, uint8_t *bytes)
{
	static const enum tar_type type[] = {TAR_FILE,	    TAR_LINK,		TAR_SYMLINK,
					     TAR_DIRECTORY, (enum tar_type)'x', (enum tar_type)'S'};
	static struct tar_entry entry;
	uint8_t contents[256];
	const char *text;
	unsigned i, count = 1 + fuzz_below(script, 3);

	for (i = 0; i < count; i++) {
		entry = (struct tar_entry){.type = type[fuzz_below(script, ARRAY_SIZE(type))]};
		memset(entry.name, 'n', 1 + fuzz_number(script, 2) % 400);
		memset(entry.link, 'l', fuzz_number(script, 2) % 300);
		entry.size = fuzz_below(script, 250);
		memset(contents, '=', sizeof(contents));
		/* In a file, the map of a sparse one. */
		text = entry.type == TAR_FILE ? "1\n5\n3\n" : some_records(script);
		memcpy(contents, text, strlen(text));
		if (entry.type != TAR_FILE && !fuzz_rarely(script, 8))
			entry.size = strlen(text);
		FUZZ_REQUIRE(tar_write_entry(fd, &entry) == 0);
		FUZZ_REQUIRE(fd_write_full(fd, contents, entry.size) == 0);
		FUZZ_REQUIRE(tar_write_padding(fd, entry.size) == 0);
	}
	FUZZ_REQUIRE(tar_write_end(fd) == 0);
	return (size_t)fd_pread_full(fd, bytes, STREAM_MAX, 0);
}

static void seal(uint8_t *header)
{
	unsigned sum = 0, i;

	memset(header + 148, ' ', 8);
	for (i = 0; i < TAR_BLOCK; i++)
		sum += header[i];
	snprintf((char *)header + 148, 8, "%06o", sum);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t bytes[STREAM_MAX], out[1000];
	static struct tar_attributes attributes;
	static struct tar_sparse sparse;
	static struct tar_entry entry;
	struct fuzz_script script = {.at = data, .left = size};
	struct tar_reader reader;
	struct err err = {.text = ""};
	uint64_t total;
	size_t length, at;
	ssize_t n;
	int fd = memfd_create("tar", MFD_CLOEXEC), ret;

	FUZZ_REQUIRE(fd >= 0);
	length = make_stream(&script, fd, bytes);
	while (!fuzz_ended(&script)) {
		at = fuzz_number(&script, 2) % length;
		bytes[at] = (uint8_t)fuzz_number(&script, 1);
		if (!fuzz_rarely(&script, 4))
			seal(bytes + at / TAR_BLOCK * TAR_BLOCK);
	}
	FUZZ_REQUIRE(pwrite(fd, bytes, length, 0) == (ssize_t)length &&
		     lseek(fd, 0, SEEK_SET) == 0);
	tar_reader_init(&reader, fd);
	reader.attributes = &attributes;
	reader.sparse = &sparse;
	while ((ret = tar_next(&reader, &entry, &err)) == 1) {
		FUZZ_REQUIRE(entry.name[0] && strnlen(entry.name, PATH_MAX) < PATH_MAX);
		FUZZ_REQUIRE(strnlen(entry.link, PATH_MAX) < PATH_MAX && entry.mode <= 0777);
		total = tar_skip_hole(&reader);
		while ((n = tar_read(&reader, out, sizeof(out), &err)) > 0 && total < MIB(1))
			total += (uint64_t)n; /* of a hole without end only the beginning */
		FUZZ_REQUIRE(n != 0 || entry.type == TAR_OTHER || total == entry.size);
	}
	FUZZ_REQUIRE(ret == 0 || err.text[0]);
	close(fd);
	return 0;
}
