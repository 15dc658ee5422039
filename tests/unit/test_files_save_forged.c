/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions of the file server restored from hostile bytes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/support/files_host.h"
#include "tests/support/unit.h"
#include "vmm/base/bytes.h"
#include "tests/unit/files_save_common.h"

/* --- hostile bytes ---------------------------------------------------------------------------- */

static void make_some(struct pack *saved)
{
	host_mkdir(&host, "d");
	host_write(&host, "d/f", "x");
	ck_assert_int_eq(p9c_go(client, "d/f", 2), 0);
	ck_assert_int_eq(p9c_open(client, 2, P9_RDONLY), 0);
	ck_assert_int_eq(p9c_go(client, "d", 3), 0);
	ck_assert_int_eq(begin_attribute(3, "user.a", 4), 0);
	ck_assert_int_eq(p9c_go(client, "d", 4), 0);
	files_session_save(client->session, saved);
}

START_TEST(bytes_cut_or_changed_do_no_harm)
{
	struct pack saved = {.data = NULL};
	unsigned round;
	size_t i;

	files_host_begin(&host, NULL, false);
	make_some(&saved);
	for (i = 0; i < saved.length; i++)
		ck_assert_int_eq(read_back(saved.data, i), -EINVAL);
	for (round = 0; round < 8; round++) {
		for (i = 0; i < saved.length; i++) {
			saved.data[i] ^= (uint8_t)(1u << round);
			if (read_back(saved.data, saved.length) == 0)
				p9c_walk(client, 2, 9, "f", NULL);
			saved.data[i] ^= (uint8_t)(1u << round);
		}
	}
	ck_assert_int_eq(read_back(saved.data, saved.length), 0);
	pack_free(&saved);
	files_host_end(&host);
}
END_TEST

/* A forged session of one name and one fid. */
static int forge(uint32_t parent, const char *name, uint32_t fid, uint32_t node, uint8_t kind,
		 uint32_t flags)
{
	struct pack saved = {.data = NULL};
	int ret;

	pack_u32(&saved, 8192);
	pack_u8(&saved, 1);
	pack_u32(&saved, 1);
	pack_u32(&saved, parent);
	pack_u8(&saved, (uint8_t)strlen(name));
	pack_bytes(&saved, name, strlen(name));
	pack_u32(&saved, 2);
	pack_u32(&saved, P9C_ROOT);
	pack_u32(&saved, 0);
	pack_u8(&saved, 0);
	pack_u32(&saved, 0);
	pack_u32(&saved, fid);
	pack_u32(&saved, node);
	pack_u8(&saved, kind);
	pack_u32(&saved, flags);
	ret = read_back(saved.data, saved.length);
	pack_free(&saved);
	return ret;
}

START_TEST(forged_sessions_get_no_further_than_requests)
{
	const uint8_t open = 1; /* FID_FILE */
	char text[16];
	size_t n;

	files_host_begin(&host, "file hide /w/.env\nfile read /w/**\n", false);
	host_write(&host, "f", "x");
	host_write(&host, ".env", "x");
	ck_assert_int_eq(symlink("../secret", host_path(&host, "link")), 0);
	ck_assert_int_eq(mkfifo(host_path(&host, "fifo"), 0600), 0);
	ck_assert_int_eq(forge(0, "..", 2, 1, open, P9_RDONLY), -EINVAL);
	ck_assert_int_eq(forge(0, ".", 2, 1, open, P9_RDONLY), -EINVAL);
	ck_assert_int_eq(forge(0, "", 2, 1, open, P9_RDONLY), -EINVAL);
	ck_assert_int_eq(forge(0, "../secret", 2, 1, open, P9_RDONLY), -EINVAL);
	ck_assert_int_eq(forge(1, "f", 2, 1, open, P9_RDONLY), -EINVAL);
	ck_assert_int_eq(forge(0, "f", 2, 2, open, P9_RDONLY), -EINVAL);
	ck_assert_int_eq(forge(0, "f", P9C_ROOT, 1, open, P9_RDONLY), -EINVAL);
	ck_assert_int_eq(forge(0, "f", P9_NOFID, 1, open, P9_RDONLY), -EINVAL);
	ck_assert_int_eq(forge(0, "f", 2, 1, 99, P9_RDONLY), -EINVAL);
	ck_assert_int_eq(forge(0, "link", 2, 1, open, P9_RDONLY), 0);
	ck_assert_int_eq(p9c_read(client, 2, 0, 9, text, &n), ESTALE);
	ck_assert_int_eq(forge(0, "fifo", 2, 1, open, P9_RDONLY), 0);
	ck_assert_int_eq(p9c_read(client, 2, 0, 9, text, &n), ESTALE);
	ck_assert_int_eq(forge(0, ".env", 2, 1, open, P9_RDONLY), 0);
	ck_assert_int_eq(p9c_read(client, 2, 0, 9, text, &n), ESTALE);
	ck_assert_int_eq(forge(0, "f", 2, 1, open, P9_RDWR), 0);
	ck_assert_int_eq(p9c_write(client, 2, 0, "y", 1, &n), ESTALE);
	ck_assert_int_eq(forge(0, "f", 2, 1, open, P9_RDONLY | P9_TRUNC), 0);
	ck_assert_int_eq(p9c_read(client, 2, 0, 9, text, &n), 0);
	ck_assert_uint_eq(n, 1);
	ck_assert_str_eq(host_read(&host, "f"), "x");
	files_host_end(&host);
}
END_TEST

/* Open files, as many as that, all of the root. */
static int forge_open(uint32_t count)
{
	struct pack saved = {.data = NULL};
	uint32_t i;
	int ret;

	pack_u32(&saved, 8192);
	pack_u8(&saved, 1);
	pack_u32(&saved, 0);
	pack_u32(&saved, count);
	for (i = 0; i < count; i++) {
		pack_u32(&saved, i);
		pack_u32(&saved, 0);
		pack_u8(&saved, 2); /* FID_DIRECTORY */
		pack_u32(&saved, P9_RDONLY);
	}
	ret = read_back(saved.data, saved.length);
	pack_free(&saved);
	return ret;
}

START_TEST(no_more_is_opened_than_a_guest_could)
{
	files_host_begin(&host, NULL, false);
	ck_assert_int_eq(forge_open(900), 0);
	ck_assert_uint_eq(stats().open, 900);
	ck_assert_int_eq(forge_open(FILES_OPEN_MAX + 1), -EINVAL);
	files_host_end(&host);
}
END_TEST

/* Fids of a place that is no more. */
START_TEST(missing_places_are_saved_once)
{
	const unsigned fids = 20000;
	struct pack saved = {.data = NULL};
	unsigned i;

	files_host_begin(&host, NULL, false);
	host_mkdir(&host, "gone");
	host_mkdir(&host, "gone/below");
	host_mkdir(&host, "here");
	ck_assert_int_eq(p9c_go(client, "gone/below", 2), 0);
	ck_assert_int_eq(p9c_go(client, "here", 3), 0);
	for (i = 0; i < fids; i++)
		ck_assert_int_eq(p9c_walk(client, 2, 10 + i, "", NULL), 0);
	ck_assert_int_eq(p9c_unlink(client, 2, "x", 0), ENOENT);
	ck_assert_int_eq(rmdir(host_path(&host, "gone/below")), 0);
	ck_assert_int_eq(p9c_unlink(client, P9C_ROOT, "gone", P9_REMOVEDIR), 0);
	/* Twice: what was noted for the first is forgotten. */
	for (i = 0; i < 2; i++) {
		pack_free(&saved);
		files_session_save(client->session, &saved);
		ck_assert_uint_eq(saved.length, 4 + 1 + 4 + (4 + 1 + 4) + 4 + (fids + 3) * 13);
	}
	ck_assert_int_eq(read_back(saved.data, saved.length), 0);
	pack_free(&saved);
	ck_assert_int_eq(p9c_walk(client, 10, 9, "x", NULL), ENOENT);
	ck_assert_int_eq(p9c_walk(client, 3, 9, "x", NULL), ENOENT);
	host_write(&host, "here/x", "");
	ck_assert_int_eq(p9c_walk(client, 3, 9, "x", NULL), 0);
	files_host_end(&host);
}
END_TEST

UNIT_MAIN("files_save_forged", bytes_cut_or_changed_do_no_harm,
	  forged_sessions_get_no_further_than_requests, no_more_is_opened_than_a_guest_could,
	  missing_places_are_saved_once)
