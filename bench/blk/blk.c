/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cost of the block device: requests through its rings, from a driver on the host (the unit
 * tests' fake guest, without KVM), compared with pread(2) of the same file, which is in the page
 * cache. This measures the path from doorbell to interrupt: check, thread, copy, completion.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/fake_disk.h"
#include "vmm/base/bytes.h"

#define FILE_BYTES MIB(64)
#define SMALL	   4096u
#define LARGE	   MIB(1)
#define SMALL_RUNS 20000u
#define LARGE_RUNS 1000u
#define DEPTH	   32u

static struct fake_disk disk;
static uint8_t buffer[LARGE];

static void row(const char *what, uint64_t begun, uint64_t runs, uint64_t bytes)
{
	double seconds = (double)(loop_now_ns() - begun) / 1e9;

	printf("%-44s %9.0f operations/s %9.1f MB/s\n", what, (double)runs / seconds,
	       (double)(runs * bytes) / seconds / 1e6);
}

/* The offset of a run: spread over the file, the same each time. */
static uint64_t offset_of(uint64_t run, uint64_t bytes)
{
	return run * 7919 % (FILE_BYTES / bytes) * bytes;
}

static void by_pread(const char *what, uint64_t runs, uint64_t bytes)
{
	int fd = open(disk.image, O_RDONLY | O_CLOEXEC);
	uint64_t begun = loop_now_ns(), run;

	for (run = 0; run < runs; run++)
		if (pread(fd, buffer, bytes, (off_t)offset_of(run, bytes)) != (ssize_t)bytes)
			exit(1);
	row(what, begun, runs, bytes);
	close(fd);
}

static void by_device(const char *what, uint32_t type, uint64_t runs, uint64_t bytes,
		      unsigned depth)
{
	uint64_t begun = loop_now_ns(), run;
	unsigned i;

	for (run = 0; run < runs; run += depth) {
		for (i = 0; i < depth; i++)
			fake_disk_offer(&disk, 0, type, offset_of(run + i, bytes) / 512,
					(uint32_t)bytes, type == FAKE_DISK_IN);
		fake_disk_wait(&disk, 0, depth);
		if (*(uint8_t *)fake_guest_at(&disk.guest, disk.status) != FAKE_DISK_OK)
			exit(1);
	}
	row(what, begun, runs, bytes);
}

static void again(struct disk *with)
{
	blk_set_disk(disk.blk, with);
	fake_write(&disk.guest, FAKE_REG_STATUS, 0);
	fake_guest_forget(&disk.guest);
	if (!fake_guest_bring_up(&disk.guest, disk.features))
		exit(1);
	disk.data = fake_guest_alloc(&disk.guest, MIB(4), 4096);
}

int main(void)
{
	disk = (struct fake_disk){.busy = true};
	disk.features = 1u << 9; /* FLUSH */
	fake_disk_image(&disk, FILE_BYTES);
	by_pread("pread, 4 KiB", SMALL_RUNS, SMALL);
	by_pread("pread, 1 MiB", LARGE_RUNS, LARGE);
	fake_disk_begin(&disk, fake_disk_open(&disk));
	by_device("image, read 4 KiB, one at a time", FAKE_DISK_IN, SMALL_RUNS, SMALL, 1);
	again(fake_disk_open(&disk));
	by_device("image, read 4 KiB, 32 at a time", FAKE_DISK_IN, SMALL_RUNS, SMALL, DEPTH);
	again(fake_disk_open(&disk));
	by_device("image, read 1 MiB, one at a time", FAKE_DISK_IN, LARGE_RUNS, LARGE, 1);
	again(fake_disk_layered(&disk, FILE_BYTES));
	by_device("private layer, write 4 KiB, 32 at a time", FAKE_DISK_OUT, SMALL_RUNS, SMALL,
		  DEPTH);
	by_device("private layer, read 4 KiB, 32 at a time", FAKE_DISK_IN, SMALL_RUNS, SMALL,
		  DEPTH);
	again(fake_disk_scratch(FILE_BYTES));
	by_device("scratch, write 4 KiB, 32 at a time", FAKE_DISK_OUT, SMALL_RUNS, SMALL, DEPTH);
	fake_disk_end(&disk);
	return 0;
}
