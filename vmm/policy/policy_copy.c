/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/policy/policy_copy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/base/arena.h"
#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/pack.h"

#define MAGIC  0x32435043u /* "CPC2" */
#define ABSENT UINT32_MAX  /* as a length: there is no such text */
#define SEALS  (F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE)

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u /* Linux 6.3 */
#endif

/* --- writing ---------------------------------------------------------------------------------- */

/* text may be NULL. */
static void put_text(struct pack *pack, const char *text)
{
	size_t length = text ? strlen(text) : 0;

	pack_u32(pack, text ? (uint32_t)length : ABSENT);
	pack_bytes(pack, text, length);
}

static void put_shares(struct pack *pack, const struct policy_source *source,
		       enum policy_copy_of of)
{
	size_t i, count = of == POLICY_COPY_WHOLE ? source->shares : 0;

	pack_u32(pack, (uint32_t)count);
	for (i = 0; i < count; i++) {
		put_text(pack, source->share[i].host);
		put_text(pack, source->share[i].guest);
		pack_u8(pack, source->share[i].read_only);
		pack_u8(pack, source->share[i].host_owners);
		pack_u8(pack, (uint8_t)source->share[i].cache);
		pack_u64(pack, (uint64_t)source->share[i].uid);
		pack_u64(pack, (uint64_t)source->share[i].gid);
	}
}

static void put_policy(struct pack *pack, const struct policy *policy, enum policy_copy_of of)
{
	const struct policy_source *source = policy_source(policy);
	size_t i;

	pack_u32(pack, MAGIC);
	pack_u8(pack, source->rootfs);
	put_text(pack, source->name);
	put_text(pack, source->directory);
	put_text(pack, source->cwd);
	put_text(pack, source->home);
	pack_u32(pack, (uint32_t)source->parts);
	for (i = 0; i < source->parts; i++) {
		put_text(pack, source->part[i].name);
		put_text(pack, source->part[i].directory);
		pack_u32(pack, (uint32_t)source->part[i].length);
	}
	pack_u32(pack, (uint32_t)source->allow_nets);
	for (i = 0; i < source->allow_nets; i++)
		put_text(pack, source->allow_net[i]);
	put_shares(pack, source, of);
	put_text(pack, policy_text(policy));
}

static int make_file(void)
{
	const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create("policy", flags | MFD_NOEXEC_SEAL);

	return fd < 0 && errno == EINVAL ? memfd_create("policy", flags) : fd;
}

int policy_copy_write(const struct policy *policy, enum policy_copy_of of, int *fd)
{
	struct pack pack = {.limit = POLICY_COPY_MAX};
	int ret = 0;

	*fd = -1;
	put_policy(&pack, policy, of);
	if (pack.failed)
		ret = -ENOMEM;
	if (ret == 0) {
		*fd = make_file();
		ret = *fd < 0 ? -errno : fd_write_full(*fd, pack.data, pack.length);
	}
	if (ret == 0 && fcntl(*fd, F_ADD_SEALS, SEALS) < 0)
		ret = -errno;
	pack_free(&pack);
	if (ret < 0)
		fd_close(fd);
	return ret;
}

/* --- reading ---------------------------------------------------------------------------------- */

/* A text, with a NUL behind it; NULL if it is absent, or after a failure. */
static const char *take_text(struct unpack *unpack, struct arena *arena)
{
	uint32_t length = unpack_u32(unpack);
	const uint8_t *bytes;
	const char *text;

	if (unpack->failed || length == ABSENT)
		return NULL;
	bytes = unpack_skip(unpack, length);
	if (!bytes || memchr(bytes, '\0', length)) {
		unpack->failed = true;
		return NULL;
	}
	text = arena_copy(arena, bytes, length);
	unpack->failed |= !text;
	return text;
}

static const char *take_needed(struct unpack *unpack, struct arena *arena)
{
	const char *text = take_text(unpack, arena);

	unpack->failed |= !text;
	return text;
}

/* The length of a list, at most max, and an array for it; check for a failure before its use. */
static void *take_list(struct unpack *unpack, struct arena *arena, uint32_t max, size_t size,
		       size_t *count)
{
	void *list;

	*count = unpack_count(unpack, max);
	list = arena_array(arena, *count + 1, size);
	unpack->failed |= !list;
	return list;
}

static void take_parts(struct unpack *unpack, struct arena *arena, struct policy_source *source)
{
	struct policy_part *part;
	size_t i;

	part = take_list(unpack, arena, POLICY_PARTS_MAX, sizeof(*part), &source->parts);
	for (i = 0; i < source->parts && !unpack->failed; i++) {
		part[i].name = take_needed(unpack, arena);
		part[i].directory = take_text(unpack, arena);
		part[i].length = unpack_u32(unpack);
	}
	source->part = part;
}

static void take_allow_nets(struct unpack *unpack, struct arena *arena,
			    struct policy_source *source)
{
	const char **net;
	size_t i;

	net = take_list(unpack, arena, POLICY_NETS_MAX, sizeof(*net), &source->allow_nets);
	for (i = 0; i < source->allow_nets && !unpack->failed; i++)
		net[i] = take_needed(unpack, arena);
	source->allow_net = net;
}

/* An owner that the guest sees, or -1. */
static int64_t take_owner(struct unpack *unpack)
{
	int64_t owner = (int64_t)unpack_u64(unpack);

	unpack->failed |= owner < -1 || owner >= (int64_t)UINT32_MAX;
	return owner;
}

static bool take_bool(struct unpack *unpack)
{
	uint8_t value = unpack_u8(unpack);

	unpack->failed |= value > 1;
	return value != 0;
}

static void take_shares(struct unpack *unpack, struct arena *arena, struct policy_source *source)
{
	struct policy_share *share;
	size_t i;

	share = take_list(unpack, arena, POLICY_SHARES_MAX, sizeof(*share), &source->shares);
	for (i = 0; i < source->shares && !unpack->failed; i++) {
		share[i].host = take_needed(unpack, arena);
		share[i].guest = take_needed(unpack, arena);
		share[i].read_only = take_bool(unpack);
		share[i].host_owners = take_bool(unpack);
		share[i].cache = (enum policy_cache)unpack_u8(unpack);
		unpack->failed |= share[i].cache > POLICY_CACHE_NONE;
		share[i].uid = take_owner(unpack);
		share[i].gid = take_owner(unpack);
	}
	source->share = share;
}

static int take_policy(struct unpack *unpack, struct policy **policy)
{
	struct policy_source source = {.lenient = true, .copied = true};
	struct arena arena = {.chunk = NULL};
	const char *text;
	int ret = -EINVAL;

	unpack->failed |= unpack_u32(unpack) != MAGIC;
	source.rootfs = unpack_u8(unpack) != 0;
	source.name = take_needed(unpack, &arena);
	source.directory = take_text(unpack, &arena);
	source.cwd = take_text(unpack, &arena);
	source.home = take_text(unpack, &arena);
	take_parts(unpack, &arena, &source);
	take_allow_nets(unpack, &arena, &source);
	take_shares(unpack, &arena, &source);
	text = take_needed(unpack, &arena);
	if (unpack_done(unpack))
		ret = policy_parse(policy, text, strlen(text), &source, NULL);
	arena_free(&arena);
	return ret;
}

/* The whole file, of at most POLICY_COPY_MAX bytes. 0 or -errno. */
static int read_file(int fd, uint8_t **data, size_t *length)
{
	/* Sealed, it can't change between the check of its length and the end of the parser. */
	int seals = fcntl(fd, F_GET_SEALS);
	ssize_t got;
	off_t size;

	if (seals < 0)
		return errno == EINVAL ? -EPERM : -errno;
	if ((seals & SEALS) != SEALS)
		return -EPERM;
	size = lseek(fd, 0, SEEK_END);
	if (size <= 0 || size > POLICY_COPY_MAX)
		return size > 0 ? -EFBIG : -EINVAL;
	*length = (size_t)size;
	*data = malloc(*length);
	if (!*data)
		return -ENOMEM;
	got = fd_pread_full(fd, *data, *length, 0);
	return got < 0 ? (int)got : (size_t)got == *length ? 0 : -EINVAL;
}

int policy_copy_read(int fd, struct policy **policy)
{
	struct unpack unpack = {.data = NULL};
	uint8_t *data = NULL;
	int ret;

	*policy = NULL;
	ret = read_file(fd, &data, &unpack.length);
	unpack.data = data;
	if (ret == 0)
		ret = take_policy(&unpack, policy);
	free(data);
	return ret;
}
