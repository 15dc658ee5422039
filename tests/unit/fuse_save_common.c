/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/fuse_save_common.h"

struct pack saved;

void save(void)
{
	pack_free(&saved);
	saved = (struct pack){.data = NULL};
	fuse_session_save(client->session, &saved);
	ck_assert(!saved.failed);
}

int read_back(const uint8_t *data, size_t length, const char *const *roots, size_t count)
{
	/* A copy of just that size: the sanitizer sees what is read beyond it. */
	uint8_t *copy = memcpy(malloc(length + 1), data, length);
	struct unpack from = {.data = copy, .length = length};
	struct fuse_session *session;
	size_t i;
	int ret;

	ck_assert_int_eq(fuse_session_create(&session, NULL), 0);
	for (i = 0; i < count; i++)
		ck_assert_int_eq(fuse_session_add(session, roots[i], &host.share, FUSED_STRICT), 0);
	ret = fuse_session_restore(session, &from);
	if (ret == 0 && !unpack_done(&from))
		ret = -EINVAL;
	free(copy);
	if (ret < 0) {
		fuse_session_destroy(session);
		return ret;
	}
	fuse_session_reopen(session);
	fuse_session_destroy(client->session);
	client->session = session;
	return 0;
}

void go_on(void)
{
	static const char *const roots[] = {"0"};

	save();
	ck_assert_int_eq(read_back(saved.data, saved.length, roots, 1), 0);
}
