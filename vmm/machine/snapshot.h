/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshot files: a paused machine written down, and read back. docs/snapshot-format.md is the
 * manual of the format.
 *
 * A file is hostile: header and sections are read into memory once, their lengths and checksums
 * checked, and only then used. Guest memory is not read but mapped copy-on-write; its checksum is
 * for snapshot_verify_memory(), because what guest memory holds is the guest's business in any
 * case.
 */
#ifndef CORDON_MACHINE_SNAPSHOT_H
#define CORDON_MACHINE_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/base/pack.h"

#define SNAPSHOT_VERSION     3
#define SNAPSHOT_EXTENTS_MAX 1024
#define SNAPSHOT_KEY_MAX     8192 /* bytes of the text that says what a template was made from */

struct machine;
struct pack;

/* A segment of guest memory that is in the file; all else is zero. */
struct snapshot_extent {
	uint64_t gpa, length, offset; /* page aligned; offset in the file */
	uint32_t checksum;
};

/* Called again and again by long operations: whether to give up. NULL: never. */
struct snapshot_stop {
	bool (*wanted)(void *arg);
	void *arg;
};

/* True: give up, with the message. */
bool snapshot_stopped(const struct snapshot_stop *stop, struct err *err);

struct snapshot {
	int fd;
	uint8_t *state; /* the sections, checked */
	size_t state_length;
	uint64_t memory; /* bytes of guest RAM */
	/* That the guest may write: the size of its scratch disk, or the limit of its layer. 0:
	 * nothing. */
	uint64_t disk;
	uint32_t cpus, devices, disk_queues, net_queues;
	bool ring0_emulated;
	uint32_t cpu_fingerprint;
	uint64_t host_tsc; /* when it was taken */
	char *key;
	struct snapshot_extent *extents;
	uint32_t extent_count;
};

/* A type of section that belongs to the owner: its numbers are 0 to numbers - 1. */
struct snapshot_owned {
	uint32_t type, numbers;
};

/* A part above the machine that keeps sections of its own in a snapshot. */
struct snapshot_owner {
	const struct snapshot_owned *section; /* in the order that they have in the file */
	unsigned section_count;
	/* Appends them (snapshot_add_section()). 0 or -errno with a message. */
	int (*save)(void *arg, struct pack *state, struct err *err);
	void *arg;
};

/*
 * Writes the paused machine, of which no request is under way (vmm/sandbox/quiesce.h), to path:
 * into a nameless or temporary file beside it, which is synced and then renamed, so that path is
 * the old file or the whole new one. key: text kept with it. owner: adds sections of its own, or
 * NULL. 0 or -errno with a message; then no temporary file is left.
 */
int snapshot_write(struct machine *machine, const struct snapshot_owner *owner, const char *path,
		   const char *key, struct err *err);

/*
 * Removes temporary files of writers that were killed, next to files whose names end with suffix.
 */
void snapshot_sweep(const char *directory, const char *suffix);

/*
 * Opens and checks a file. owner: whose sections it may have, or NULL: none but the machine's; only
 * its list of sections is used. 0; -ENOENT and the like; -EINVAL with a message that says what is
 * wrong. snapshot_close() in every case.
 */
int snapshot_open(struct snapshot *snapshot, const char *path, const struct snapshot_owner *owner,
		  struct err *err);
void snapshot_close(struct snapshot *snapshot);

/* Reads all of guest memory in the file and compares the checksums. 0, -EINVAL or -EINTR. */
int snapshot_verify_memory(const struct snapshot *snapshot, const struct snapshot_stop *stop,
			   struct err *err);

/* Makes machine->memory from the file. */
int snapshot_map_memory(const struct snapshot *snapshot, struct machine *machine, struct err *err);

/* Puts processors, interrupt controllers and devices into the saved state. */
int snapshot_restore(const struct snapshot *snapshot, struct machine *machine, struct err *err);

#endif
