/* SPDX-License-Identifier: Apache-2.0 */
/* The monitor's end of a file server: its session, saved, restored, and handed to a successor. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/pack.h"
#include "vmm/files/client_internal.h"

/* --- snapshots -------------------------------------------------------------------------------- */

void files_client_hold(struct files_client *client, bool held)
{
	client->holding = held;
	files_client_set_held(client, held || !client->started);
}

/* Copies what the server wrote to private memory: it may go on writing. */
static int take_saved(int fd, uint64_t length, struct pack *to)
{
	uint8_t *bytes = NULL;
	ssize_t n;
	int ret = 0;

	if (length > FILES_SAVED_MAX)
		return -EFBIG;
	bytes = malloc(length + 1);
	if (!bytes)
		return -ENOMEM;
	n = fd_pread_full(fd, bytes, length, 0);
	if (n < 0 || (size_t)n != length)
		ret = n < 0 ? (int)n : -EPIPE;
	if (ret == 0) {
		pack_u32(to, (uint32_t)length);
		pack_bytes(to, bytes, length);
		ret = to->failed ? -ENOMEM : 0;
	}
	free(bytes);
	return ret;
}

int files_client_save(struct files_client *client, struct pack *to)
{
	struct files_head head = {.type = FILES_SAVE};
	int fd, ret;

	fd = memfd_create("session", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	files_client_set_held(client, true);
	ret = files_client_converse(client, &head, &fd, 1, FILES_SAVE_MS);
	files_client_set_held(client, client->holding || client->succeeded || !client->started);
	if (ret == 0)
		ret = head.error < 0 ? head.error : 0;
	if (ret == 0)
		ret = take_saved(fd, head.value, to);
	fd_close(&fd);
	return ret;
}

/* passes: open files come by FILES_TAKE. */
static int restore(struct files_client *client, struct unpack *from, bool passes)
{
	struct files_head head = {.type = FILES_RESTORE, .flag = passes};
	const uint8_t *bytes;
	int fd, ret;

	head.value = unpack_count(from, FILES_SAVED_MAX);
	bytes = unpack_skip(from, head.value);
	if (!bytes)
		return -EINVAL;
	fd = memfd_create("session", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = fd_write_full(fd, bytes, head.value);
	if (ret == 0)
		ret = files_client_converse(client, &head, &fd, 1, FILES_SAVE_MS);
	fd_close(&fd);
	return ret < 0 ? ret : head.error < 0 ? head.error : 0;
}

int files_client_restore(struct files_client *client, struct unpack *from)
{
	return restore(client, from, false);
}

/* --- successors ------------------------------------------------------------------------------- */

/* Both are at work: the socket between them has room for some of the files only. */
static int pass_files(struct files_client *client, struct files_client *old)
{
	struct files_head give = {.type = FILES_GIVE}, take = {.type = FILES_TAKE};
	int ret = files_client_tell(old, &give);

	if (ret == 0)
		ret = files_client_converse(client, &take, NULL, 0, FILES_SAVE_MS);
	/* A second successor might get what this one has left; and the old one must not wait. */
	fd_close(&old->pass_fd);
	return ret < 0 ? ret : take.error < 0 ? take.error : 0;
}

int files_client_succeed(struct files_client *client, struct files_client *old)
{
	struct pack saved = {.data = NULL};
	struct unpack from;
	int ret;

	if (old->pass_fd < 0)
		return -EBADF;
	/* Nothing changes between the session and its files. */
	old->succeeded = true;
	ret = files_client_save(old, &saved);
	from = (struct unpack){.data = saved.data, .length = saved.length};
	if (ret == 0)
		ret = restore(client, &from, true);
	pack_free(&saved);
	if (ret == 0)
		ret = pass_files(client, old);
	old->succeeded = false;
	if (ret < 0)
		files_client_hold(old, old->holding);
	return ret;
}

void files_client_lead(struct files_client *client, struct files_client *old,
		       const struct files_client_ops *ops)
{
	client->ops = ops;
	/* Without an old one it leads from the start. */
	if (!client->guard || client->leads || !old)
		return;
	/* What it has reported is logged before anything of the new one. */
	files_client_hear(old, FILES_BATCH);
	old->leads = false;
	client->leads = true;
	guard_expect_reports(client->guard, files_client_follow, client);
	if (client->policy != guard_version(client->guard))
		files_client_follow(client);
}
