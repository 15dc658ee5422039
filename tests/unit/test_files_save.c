/* SPDX-License-Identifier: Apache-2.0 */
/* A session of the file server that is written down and goes on elsewhere. */
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

/* The session is another one's now. */
static void go_on(void)
{
	struct pack saved = {.data = NULL};

	files_session_save(client->session, &saved);
	ck_assert(!saved.failed);
	ck_assert_int_eq(read_back(saved.data, saved.length), 0);
	pack_free(&saved);
}

START_TEST(open_files_and_places_go_on)
{
	struct files_stats before;
	char text[64] = "";
	size_t n;

	files_host_begin(&host, NULL, false);
	host_mkdir(&host, "d");
	host_mkdir(&host, "d/e");
	host_write(&host, "d/e/f", "0123456789");
	host_write(&host, "d/log", "old ");
	ck_assert_int_eq(p9c_go(client, "d/e/f", 2), 0);
	ck_assert_int_eq(p9c_open(client, 2, P9_RDONLY), 0);
	ck_assert_int_eq(p9c_go(client, "d/log", 3), 0);
	ck_assert_int_eq(p9c_open(client, 3, P9_RDWR | P9_APPEND), 0);
	ck_assert_int_eq(p9c_go(client, "d/e", 4), 0);
	ck_assert_int_eq(p9c_go(client, "d", 5), 0);
	ck_assert_int_eq(p9c_create(client, 5, "made", P9_RDWR | P9_TRUNC | P9_EXCL, 0600), 0);
	ck_assert_int_eq(p9c_write(client, 5, 0, "kept", 4, &n), 0);
	/* A rename takes everything beneath it along; the saved paths are the new ones. */
	ck_assert_int_eq(p9c_renameat(client, P9C_ROOT, "d", P9C_ROOT, "moved"), 0);
	before = stats();
	go_on();
	ck_assert_uint_eq(stats().fids, before.fids);
	ck_assert_uint_eq(stats().nodes, before.nodes);
	ck_assert_uint_eq(stats().open, before.open);
	ck_assert_int_eq(p9c_read(client, 2, 4, 3, text, &n), 0);
	ck_assert_str_eq(text, "456");
	ck_assert_int_eq(p9c_write(client, 3, 0, "new", 3, &n), 0);
	ck_assert_str_eq(host_read(&host, "moved/log"), "old new");
	ck_assert_int_eq(p9c_walk(client, 4, 6, "f", NULL), 0);
	/* What was cut or made once is not cut or made again. */
	ck_assert_str_eq(host_read(&host, "moved/made"), "kept");
	ck_assert_int_eq(p9c_write(client, 5, 4, "!", 1, &n), 0);
	ck_assert_str_eq(host_read(&host, "moved/made"), "kept!");
	ck_assert_int_eq(p9c_write(client, 2, 0, "x", 1, &n), EBADF); /* read only, as before */
	files_host_end(&host);
}
END_TEST

START_TEST(a_directory_is_read_on_where_it_was)
{
	char first[4096] = "", name[16];
	uint64_t offset = 0;
	unsigned i, seen = 0;
	uint32_t length;

	files_host_begin(&host, NULL, false);
	for (i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		host_write(&host, name, "");
	}
	ck_assert_int_eq(p9c_walk(client, P9C_ROOT, 2, "", NULL), 0);
	ck_assert_int_eq(p9c_open(client, 2, P9_RDONLY | P9_DIRECTORY), 0);
	do {
		p9c_begin(client, P9_TREADDIR);
		p9c_u32(client, 2);
		p9c_u64(client, offset);
		p9c_u32(client, 200);
		ck_assert_int_eq(p9c_send(client), 0);
		length = unpack_u32(&client->in);
		while (client->in.at < client->in.length) {
			client->in.at += P9_QID_SIZE;
			offset = unpack_u64(&client->in);
			unpack_u8(&client->in);
			i = unpack_u16(&client->in);
			ck_assert_uint_lt(i, sizeof(name));
			unpack_bytes(&client->in, name, i);
			name[i] = '\0';
			ck_assert_ptr_null(strstr(first, name));
			seen += name[0] == 'f';
		}
		go_on();
	} while (length > 0);
	ck_assert_uint_eq(seen, 40);
	files_host_end(&host);
}
END_TEST

START_TEST(what_is_gone_or_forbidden_is_stale)
{
	char text[16];
	size_t n;

	files_host_begin(&host, "file write /w/**\n", false);
	host_mkdir(&host, "d");
	host_write(&host, "removed", "x");
	host_write(&host, "lost", "x");
	host_write(&host, "secret", "x");
	host_write(&host, "open", "x");
	host_write(&host, "d/f", "x");
	ck_assert_int_eq(p9c_go(client, "removed", 2), 0);
	ck_assert_int_eq(p9c_open(client, 2, P9_RDWR), 0);
	ck_assert_int_eq(p9c_unlink(client, P9C_ROOT, "removed", 0), 0);
	ck_assert_int_eq(p9c_go(client, "lost", 3), 0);
	ck_assert_int_eq(p9c_open(client, 3, P9_RDONLY), 0);
	ck_assert_int_eq(unlink(host_path(&host, "lost")), 0);
	ck_assert_int_eq(p9c_go(client, "secret", 4), 0);
	ck_assert_int_eq(p9c_open(client, 4, P9_RDONLY), 0);
	ck_assert_int_eq(p9c_go(client, "open", 5), 0);
	ck_assert_int_eq(p9c_open(client, 5, P9_RDWR), 0);
	ck_assert_int_eq(p9c_go(client, "d", 6), 0);
	ck_assert_int_eq(p9c_open(client, 6, P9_RDONLY), 0);
	ck_assert_int_eq(rename(host_path(&host, "d"), host_path(&host, "e")), 0);
	ck_assert_int_eq(p9c_read(client, 2, 0, 9, text, &n), 0);
	ck_assert_int_eq(p9c_read(client, 4, 0, 9, text, &n), 0);
	/* The rules may allow less after the restore. */
	files_host_replace(&host, "file deny /w/secret\nfile read /w/**\n");
	go_on();
	ck_assert_int_eq(p9c_read(client, 2, 0, 9, text, &n), ESTALE);
	ck_assert_int_eq(p9c_read(client, 3, 0, 9, text, &n), ESTALE);
	ck_assert_int_eq(p9c_read(client, 4, 0, 9, text, &n), ESTALE);
	ck_assert_int_eq(p9c_write(client, 5, 0, "y", 1, &n), ESTALE);
	ck_assert_int_eq(p9c_list(client, 6, 512, text, sizeof(text)), ESTALE);
	ck_assert_str_eq(host_read(&host, "open"), "x");
	ck_assert_uint_eq(stats().open, 0);
	/* The numbers are still the guest's: it gives them back. */
	ck_assert_int_eq(p9c_open(client, 5, P9_RDONLY), EINVAL);
	ck_assert_int_eq(p9c_clunk(client, 5), 0);
	ck_assert_int_eq(p9c_go(client, "open", 5), 0);
	ck_assert_int_eq(p9c_open(client, 5, P9_RDONLY), 0);
	ck_assert_int_eq(p9c_clunk(client, 2), 0);
	/* A second time, with files that were closed already: they stay so. */
	files_host_replace(&host, "file read /w/**\n");
	go_on();
	ck_assert_int_eq(p9c_read(client, 4, 0, 9, text, &n), ESTALE);
	ck_assert_int_eq(p9c_read(client, 5, 0, 9, text, &n), 0);
	files_host_end(&host);
}
END_TEST

START_TEST(attributes_under_way_go_on)
{
	char text[16] = "";
	size_t n;

	files_host_directory = "/var/tmp"; /* a file system with attributes */
	files_host_begin(&host, NULL, false);
	files_host_directory = "/tmp";
	host_write(&host, "f", "x");
	ck_assert_int_eq(p9c_go(client, "f", 2), 0);
	ck_assert_int_eq(begin_attribute(2, "user.colour", 4), 0);
	ck_assert_int_eq(p9c_write(client, 2, 0, "bl", 2, &n), 0);
	go_on();
	ck_assert_int_eq(p9c_write(client, 2, 2, "ue", 2, &n), 0);
	ck_assert_int_eq(p9c_clunk(client, 2), 0);
	ck_assert_int_eq(p9c_go(client, "f", 2), 0);
	p9c_begin(client, P9_TXATTRWALK);
	p9c_u32(client, 2);
	p9c_u32(client, 3);
	p9c_string(client, "user.colour");
	ck_assert_int_eq(p9c_send(client), 0);
	go_on();
	ck_assert_int_eq(p9c_read(client, 3, 0, 9, text, &n), 0);
	ck_assert_str_eq(text, "blue");
	files_host_end(&host);
}
END_TEST

/* An attribute of the file "f" whose value is written already: only the clunk is missing. */
static int forge_attribute(const char *name)
{
	struct pack saved = {.data = NULL};
	int ret;

	pack_u32(&saved, 8192);
	pack_u8(&saved, 1);
	pack_u32(&saved, 1);
	pack_u32(&saved, 0);
	pack_u8(&saved, 1);
	pack_bytes(&saved, "f", 1);
	pack_u32(&saved, 1);
	pack_u32(&saved, 2);
	pack_u32(&saved, 1);
	pack_u8(&saved, 5); /* FID_XATTR_WRITE */
	pack_u32(&saved, 0);
	pack_u16(&saved, (uint16_t)strlen(name));
	pack_bytes(&saved, name, strlen(name));
	pack_u32(&saved, 0);
	pack_u32(&saved, 1);
	pack_u32(&saved, 1);
	pack_bytes(&saved, "x", 1);
	ret = read_back(saved.data, saved.length);
	pack_free(&saved);
	return ret;
}

static void forged_attribute(const char *rules, bool read_only, bool is_set)
{
	char value[16];

	files_host_directory = "/var/tmp";
	files_host_begin(&host, rules, read_only);
	files_host_directory = "/tmp";
	host_write(&host, "f", "x");
	ck_assert_int_eq(forge_attribute("user.forged"), 0);
	ck_assert_int_eq(p9c_write(client, 2, 1, "y", 1, &(size_t){0}), is_set ? ENOSPC : ESTALE);
	ck_assert_int_eq(p9c_clunk(client, 2), 0);
	ck_assert_int_eq(getxattr(host_path(&host, "f"), "user.forged", value, sizeof(value)),
			 is_set ? 1 : -1);
	ck_assert_uint_eq(stats().fids, 0);
	/* Another one has all the room. */
	ck_assert_int_eq(forge_attribute("user.forged"), 0);
	go_on();
	ck_assert_int_eq(p9c_clunk(client, 2), 0);
	files_host_end(&host);
}

START_TEST(a_forged_attribute_is_not_set_where_none_may_be)
{
	forged_attribute(NULL, false, true);
	forged_attribute("file write /w/**\n", false, true);
	forged_attribute(NULL, true, false);
	forged_attribute("file write /w/**\n", true, false);
	forged_attribute("file read /w/**\n", false, false);
	forged_attribute("file hide /w/f\nfile write /w/**\n", false, false);
}
END_TEST

UNIT_MAIN("files_save", open_files_and_places_go_on, a_directory_is_read_on_where_it_was,
	  what_is_gone_or_forbidden_is_stale, attributes_under_way_go_on,
	  a_forged_attribute_is_not_set_where_none_may_be)
