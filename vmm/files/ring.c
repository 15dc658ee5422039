/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/files/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/fd.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u /* Linux 6.3 */
#endif

#define SEALS (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW)

_Static_assert(FILES_SLOTS % 64 == 0, "a word has a bit for each of 64 slots");
_Static_assert(FILES_REQUEST_MAX % 4096 == 0 && FILES_REPLY_MAX % 4096 == 0,
	       "slots share no page, so that one that was never used has none");

static int make_file(void)
{
	const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create("files", flags | MFD_NOEXEC_SEAL);

	return fd < 0 && errno == EINVAL ? memfd_create("files", flags) : fd;
}

static int map(struct files_ring **ring, int fd)
{
	void *at = mmap(NULL, sizeof(**ring), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (at == MAP_FAILED)
		return -errno;
	*ring = at;
	return 0;
}

int files_ring_create(struct files_ring **ring, int *fd)
{
	int ret = 0;

	*ring = NULL;
	*fd = make_file();
	if (*fd < 0 || ftruncate(*fd, sizeof(**ring)) < 0 || fcntl(*fd, F_ADD_SEALS, SEALS) < 0)
		ret = -errno;
	if (ret == 0)
		ret = map(ring, *fd);
	if (ret < 0)
		fd_close(fd);
	return ret;
}

int files_ring_map(struct files_ring **ring, int fd)
{
	struct stat stat;
	int seals = fcntl(fd, F_GET_SEALS);

	*ring = NULL;
	/* A file that shrinks would end the server by SIGBUS. */
	if (seals < 0 || !(seals & F_SEAL_SHRINK) || fstat(fd, &stat) < 0 ||
	    stat.st_size < (off_t)sizeof(**ring))
		return -EINVAL;
	return map(ring, fd);
}

void files_ring_unmap(struct files_ring *ring)
{
	if (ring)
		munmap(ring, sizeof(*ring));
}

void files_ring_post(struct files_ring *ring, unsigned queue, unsigned slot)
{
	struct files_bell *bell = &ring->bell[queue];

	/* The thread sets `asleep` and then looks at `posted`; this does it the other way round. */
	atomic_fetch_or(&bell->posted[slot / 64], UINT64_C(1) << slot % 64);
	if (atomic_load(&bell->asleep) == 1 && atomic_exchange(&bell->asleep, 0) == 1)
		files_ring_wake(&bell->asleep);
}

void files_ring_sleep(_Atomic uint32_t *word, uint32_t value, uint64_t until_ns)
{
	const struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000u),
				       .tv_nsec = (long)(until_ns % 1000000000u)};

	/* With a bitset the time is absolute, of CLOCK_MONOTONIC. */
	syscall(SYS_futex, word, FUTEX_WAIT_BITSET, value, until_ns == UINT64_MAX ? NULL : &until,
		NULL, FUTEX_BITSET_MATCH_ANY);
}

uint32_t files_ring_processor(void)
{
	return (uint32_t)sched_getcpu();
}

void files_ring_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}
