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

static size_t make_stream(struct fuzz_script *script, int fd, uint8_t *bytes)
{
	static const enum tar_type type[] = {TAR_FILE, TAR_LINK, TAR_SYMLINK, TAR_DIRECTORY,
					     (enum tar_type)'x'};
	static struct tar_entry entry;
	uint8_t contents[256];
	unsigned i, count = 1 + fuzz_below(script, 3);

	for (i = 0; i < count; i++) {
		entry = (struct tar_entry){.type = type[fuzz_below(script, ARRAY_SIZE(type))]};
		memset(entry.name, 'n', 1 + fuzz_number(script, 2) % 400);
		memset(entry.link, 'l', fuzz_number(script, 2) % 300);
		entry.size = fuzz_below(script, 250);
		memset(contents, '=', sizeof(contents));
		memcpy(contents, "12 path=a/b\n", 12);
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
	while ((ret = tar_next(&reader, &entry, &err)) == 1) {
		FUZZ_REQUIRE(entry.name[0] && strnlen(entry.name, PATH_MAX) < PATH_MAX);
		FUZZ_REQUIRE(strnlen(entry.link, PATH_MAX) < PATH_MAX && entry.mode <= 0777);
		for (total = 0; (n = tar_read(&reader, out, sizeof(out), &err)) > 0;)
			total += (uint64_t)n;
		FUZZ_REQUIRE(n < 0 || entry.type == TAR_OTHER || total == entry.size);
	}
	FUZZ_REQUIRE(ret == 0 || err.text[0]);
	close(fd);
	return 0;
}
