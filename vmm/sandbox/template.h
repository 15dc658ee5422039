/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Templates: snapshots of machines whose agent has just become ready, in the user's cache.
 *
 * What a template was made from identifies it: version, boot of the host, digests of program,
 * kernel and initramfs, memory, processors, queues, command line. That text, the key, is in the
 * file too and is compared in full. The directory is $XDG_CACHE_HOME/cordon/templates or
 * ~/.cache/cordon/templates, for its owner alone (0700).
 */
#ifndef CORDON_SANDBOX_TEMPLATE_H
#define CORDON_SANDBOX_TEMPLATE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "vmm/base/err.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/snapshot.h"

#define TEMPLATE_SECTION_AGENT (SNAPSHOT_OWNED + 2) /* after those of shares.h */

#define TEMPLATE_CACHE_MAX GIB(4) /* bytes of all templates; the least recently used go first */

struct shares;

struct template
{
	char path[PATH_MAX];
	char key[SNAPSHOT_KEY_MAX];
};

/* Finds key and path for a machine. 0 or -errno with a message. */
int template_find(struct template *template, const struct machine_config *config, struct err *err);

/*
 * Opens the template. 0; -ENOENT if there is none; -ESTALE or another error with a message if there
 * is one that cannot be used.
 */
int template_open(const struct template *template, struct snapshot *snapshot, struct err *err);

/*
 * The connection of the template's agent: whether it is in the file; goes on with it, if it is, in
 * the machine that was restored but not started. 0 or -errno with a message.
 */
bool template_keeps_agent(const struct snapshot *snapshot);
int template_resume_agent(const struct snapshot *snapshot, struct machine *machine,
			  struct err *err);

/*
 * Whether kernel and initramfs still are what the template was found by: they are opened by their
 * paths a second time to boot them. 0, or -ESTALE or another -errno with a message.
 */
int template_check(const struct template *template, const struct machine_config *config,
		   struct err *err);

/*
 * Writes the paused machine, and removes the least recently used templates if the cache exceeds its
 * size. Two processes may do this at once: one of the two files stays.
 */
int template_save(const struct template *template, struct machine *machine, struct shares *shares,
		  struct err *err);

struct template_entry {
	char name[64];	/* of the file */
	uint64_t bytes; /* on the disk */
	time_t used;	/* when a sandbox was last made from it */
	/* From template_describe(): */
	uint64_t memory; /* 0: the file cannot be read */
	uint32_t cpus;
	char version[32];
	bool stale; /* of another program, version or boot of the host: no start uses it any more */
};

/* Lists the cache; *entries is malloc()ed. Returns the number or -errno with a message. */
int template_list(struct template_entry **entries, struct err *err);

/* Reads what the entries say of themselves. 0 or -errno with a message. */
int template_describe(struct template_entry *entries, int count, struct err *err);

/* Removes the stale ones. Returns how many, or -errno with a message. */
int template_remove_stale(struct err *err);

/*
 * Removes the templates whose names begin with name, or all if it is NULL. Returns how many, or
 * -errno with a message.
 */
int template_remove(const char *name, struct err *err);

#endif
