/* SPDX-License-Identifier: Apache-2.0 */
/* Guest memory that changes while it is written: reads of an image may be under way. */
#include "vmm/machine/snapshot_extents.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/machine/snapshot_format.h"

#define BYTES MIB(4)

static struct guest_memory memory;
static bool changes;

/* The last moment before the bytes are the file's. */
ssize_t write(int fd, const void *from, size_t length)
{
	uint8_t *at;

	for (at = memory.region[0].host; changes && at < memory.region[0].host + BYTES; at += 4096)
		++*at;
	return syscall(SYS_write, fd, from, length);
}

static void save(bool change)
{
	struct snapshot_extents *list = calloc(1, sizeof(*list));
	int fd = memfd_create("snapshot", MFD_CLOEXEC);
	uint8_t *read = malloc(BYTES);
	uint64_t end = SNAPSHOT_PAGE;
	struct err err;

	ck_assert_int_eq(guest_memory_create_private(&memory, BYTES, BYTES, BYTES, &err), 0);
	memset(memory.region[0].host, 7, BYTES);
	snapshot_find_extents(&memory, list);
	ck_assert_uint_eq(list->count, 1);
	changes = change;
	ck_assert_int_eq(snapshot_write_extents(&memory, list, fd, &end), 0);
	changes = false;
	ck_assert_uint_eq(end, SNAPSHOT_PAGE + BYTES);
	ck_assert_uint_eq(list->at[0].offset, SNAPSHOT_PAGE);
	ck_assert_int_eq(fd_pread_full(fd, read, BYTES, SNAPSHOT_PAGE), BYTES);
	ck_assert_uint_eq(list->at[0].checksum, snapshot_checksum(read, BYTES));
	guest_memory_destroy(&memory);
	free(read);
	free(list);
	close(fd);
}

START_TEST(a_checksum_is_that_of_the_file)
{
	save(false);
	save(true);
}
END_TEST

UNIT_MAIN("snapshot_extents", a_checksum_is_that_of_the_file)
