/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/files_save_common.h"

struct files_host host;
struct p9_client *const client = &host.client;

int read_back(const uint8_t *data, size_t length)
{
	/* A copy of just that size: the sanitizer sees what is read beyond it. */
	uint8_t *copy = memcpy(malloc(length + 1), data, length);
	struct unpack from = {.data = copy, .length = length};
	struct files_session *session;
	int ret;

	ck_assert_int_eq(files_session_create(&session, &host.share), 0);
	ret = files_session_restore(session, &from);
	if (ret == 0 && !unpack_done(&from))
		ret = -EINVAL;
	free(copy);
	if (ret < 0) {
		files_session_destroy(session);
		return ret;
	}
	files_session_reopen(session);
	files_session_destroy(client->session);
	client->session = session;
	return 0;
}

struct files_stats stats(void)
{
	struct files_stats out;

	files_session_stats(client->session, &out);
	return out;
}

int begin_attribute(uint32_t fid, const char *name, uint64_t size)
{
	p9c_begin(client, P9_TXATTRCREATE);
	p9c_u32(client, fid);
	p9c_string(client, name);
	p9c_u64(client, size);
	p9c_u32(client, 0);
	return p9c_send(client);
}
