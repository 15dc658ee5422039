/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/budget.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "vmm/base/bytes.h"

/*
 * Descriptors that are open for a moment only: a directory on the path of a file, a snapshot, the
 * --on-ask command, a program that is restarted.
 */
#define MARGIN 96

#define FD_LIST "/proc/self/fd"

/*
 * least: a sandbox with fewer is of no use. each: the
 * descriptors that one item takes.
 */
static const struct {
	unsigned most, least, each;
} uses[BUDGET_USES] = {
	[BUDGET_CLIENTS] = {BUDGET_CLIENTS_MAX, 16, 1},
	[BUDGET_JOBS] = {BUDGET_JOBS_MAX, 8, 4},
	[BUDGET_FILES] = {BUDGET_FILES_MAX, 16, 1},
	[BUDGET_HANDSHAKES] = {BUDGET_HANDSHAKES_MAX, 4, 1},
	[BUDGET_STREAMS] = {BUDGET_STREAMS_MAX, 16, 1},
};

static atomic_uint divided[BUDGET_USES]; /* 0: not yet */

int budget_compute(unsigned open, unsigned limit, unsigned most[BUDGET_USES], struct err *err)
{
	unsigned least = open + MARGIN, wanted = 0, left, i;

	for (i = 0; i < BUDGET_USES; i++) {
		least += uses[i].least * uses[i].each;
		wanted += (uses[i].most - uses[i].least) * uses[i].each;
	}
	if (limit < least)
		return err_set(
			err, EMFILE,
			"the limit of open files (ulimit -n) is %u: this sandbox needs at least %u",
			limit, least);
	/* What is left after the minimum is shared out in proportion to what each use can take. */
	left = min_u64(limit - least, wanted);
	for (i = 0; i < BUDGET_USES; i++)
		most[i] = uses[i].least +
			  (unsigned)((uint64_t)(uses[i].most - uses[i].least) * left / wanted);
	return 0;
}

/* The number of open descriptors, or -errno. From Linux 6.2 on it is the directory's size. */
static int count_open(void)
{
	struct stat status;
	int count = 0;
	DIR *list;

	if (stat(FD_LIST, &status) == 0 && status.st_size > 0)
		return (int)min_u64((uint64_t)status.st_size, INT_MAX);
	list = opendir(FD_LIST);
	if (!list)
		return -errno;
	while (readdir(list))
		count++;
	closedir(list);
	return count - 3; /* ".", "..", and the descriptor of the list itself */
}

int budget_divide(struct err *err)
{
	unsigned most[BUDGET_USES], i;
	struct rlimit limit;
	int open = count_open(), ret;

	if (open < 0)
		return err_code(err, -open, FD_LIST);
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return err_sys(err, "the limit of open files");
	ret = budget_compute((unsigned)open, (unsigned)min_u64(limit.rlim_cur, UINT32_MAX), most,
			     err);
	for (i = 0; ret == 0 && i < BUDGET_USES; i++)
		atomic_store(&divided[i], most[i]);
	return ret;
}

unsigned budget(enum budget_use use)
{
	unsigned most = atomic_load_explicit(&divided[use], memory_order_relaxed);

	return most ? most : uses[use].most;
}
