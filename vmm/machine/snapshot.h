/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshot files: a paused machine is written to one, and restored from it. docs/snapshot-format.md
 * describes the format.
 *
 * A file is hostile: header and sections are read into memory once, and used only after their
 * lengths and checksums have been checked. Guest memory is not read but mapped copy-on-write; only
 * snapshot_verify_memory() looks at its checksums, since the monitor never trusts what guest memory
 * holds.
 */
#ifndef CORDON_MACHINE_SNAPSHOT_H
#define CORDON_MACHINE_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/base/pack.h"

#define SNAPSHOT_VERSION     6
#define SNAPSHOT_EXTENTS_MAX 1024
#define SNAPSHOT_KEY_MAX     8192 /* bytes of the text that says what a template was made from */

struct machine;
struct pack;

/* A segment of guest memory that is in the file; the rest of memory is zero. */
struct snapshot_extent {
	uint64_t gpa, length, offset; /* page aligned; offset in the file */
	uint32_t checksum;
};

/* Long operations call it again and again: whether to give up. NULL: never. */
struct snapshot_stop {
	bool (*wanted)(void *arg);
	void *arg;
};

/* Returns true, with a message, if the operation must give up. */
bool snapshot_stopped(const struct snapshot_stop *stop, struct err *err);

struct snapshot {
	int fd;
	uint8_t *state; /* the sections, checked */
	size_t state_length;
	uint64_t memory; /* bytes of guest RAM */
	/*
	 * What the guest may write: the size of its scratch disk, or the limit of its layer. 0:
	 * nothing.
	 */
	uint64_t disk;
	char image[256]; /* the image that a disk holds, for messages; "": none does */
	uint32_t cpus, devices, disk_queues, net_queues;
	bool ring0_emulated;
	uint32_t cpu_fingerprint;
	uint64_t host_tsc; /* when the snapshot was taken */
	char *key;
	struct snapshot_extent *extents;
	uint32_t extent_count;
};

/* A type of section of the owner; such sections are numbered 0 to numbers - 1. */
struct snapshot_owned {
	uint32_t type, numbers;
};

/* A layer above the machine that keeps its own sections in a snapshot. */
struct snapshot_owner {
	const struct snapshot_owned *section; /* in the order of the file */
	unsigned section_count;
	/* Appends the sections with snapshot_add_section(). 0 or -errno with a message. */
	int (*save)(void *arg, struct pack *state, struct err *err);
	void *arg;
};

/*
 * Writes the paused machine to a file, which is empty and open for reading and writing; none of the
 * guest's requests may be under way (vmm/sandbox/quiesce.h). key: text kept in the file. owner:
 * adds its own sections, or NULL. 0; or -errno with a message, and then the file is of no use.
 */
int snapshot_write(struct machine *machine, const struct snapshot_owner *owner, int fd,
		   const char *key, struct err *err);

/* Removes temporary files (new_file.h) that killed writers have left for names that end with
 * suffix.
 */
void snapshot_sweep(const char *directory, const char *suffix);

/*
 * Opens and checks a file. owner: the file may also have this owner's sections (only the list of
 * them is used); NULL: just the machine's. 0; -ENOENT and the like; -EINVAL with a message that
 * says what is wrong. Call snapshot_close() in every case.
 */
int snapshot_open(struct snapshot *snapshot, const char *path, const struct snapshot_owner *owner,
		  struct err *err);
void snapshot_close(struct snapshot *snapshot);

/* Reads all of guest memory in the file and compares the checksums. 0, -EINVAL or -EINTR. */
int snapshot_verify_memory(const struct snapshot *snapshot, const struct snapshot_stop *stop,
			   struct err *err);

/* Creates machine->memory from the file. */
int snapshot_map_memory(const struct snapshot *snapshot, struct machine *machine, struct err *err);

/*
 * Writes the memory of a paused machine, whose disks are idle, to a file without a name in the
 * directory (a descriptor), maps it from there, and gives its own pages back to the host. If that
 * fails half-way, the machine ends. 0 or -errno with a message.
 */
int snapshot_spill_memory(struct machine *machine, int directory, struct err *err);

/* Sets processors, interrupt controllers and devices to the saved state. */
int snapshot_restore(const struct snapshot *snapshot, struct machine *machine, struct err *err);

#endif
