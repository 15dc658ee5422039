/* SPDX-License-Identifier: Apache-2.0 */
/* Malformed messages to the file server, and a host with odd files. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/support/files_host.h"
#include "tests/support/unit.h"
#include "vmm/base/budget.h"
#include "vmm/base/fd.h"
#include "tests/unit/files_bad_common.h"

/* --- messages --------------------------------------------------------------------------------- */

START_TEST(nothing_works_before_a_version_and_another_one_begins_anew)
{
	struct p9_attributes attributes;

	files_host_begin(&host, NULL, false);
	ck_assert_int_eq(p9c_getattr(client, P9C_ROOT, &attributes), 0);
	ck_assert_int_eq(p9c_version(client, 8192, "9P2000.u"), 0);
	ck_assert_ptr_nonnull(memmem(client->reply, 40, "unknown", 7));
	ck_assert_int_eq(p9c_attach(client, 5), EPROTO);
	ck_assert_int_eq(p9c_version(client, FILES_MSIZE_MIN - 1, P9_VERSION), EMSGSIZE);
	ck_assert_int_eq(p9c_version(client, 1u << 30, P9_VERSION), 0);
	ck_assert_uint_eq(unpack_u32(&client->in), FILES_MSIZE_MAX);
	ck_assert_uint_eq(files_session_msize(client->session), FILES_MSIZE_MAX);
	ck_assert_int_eq(p9c_version(client, 8192, P9_VERSION), 0);
	ck_assert_uint_eq(files_session_msize(client->session), 8192);
	ck_assert_int_eq(p9c_getattr(client, P9C_ROOT, &attributes), EBADF);
	ck_assert_int_eq(p9c_attach(client, P9C_ROOT), 0);
	p9c_begin(client, P9_TAUTH);
	ck_assert_int_eq(p9c_send(client), EOPNOTSUPP);
	p9c_begin(client, P9_TFLUSH);
	p9c_u16(client, 77);
	ck_assert_int_eq(p9c_send(client), 0);
	p9c_begin(client, 0);
	ck_assert_int_eq(p9c_send(client), EOPNOTSUPP);
	p9c_begin(client, 255);
	ck_assert_int_eq(p9c_send(client), EOPNOTSUPP);
	files_host_end(&host);
}
END_TEST

START_TEST(sizes_that_do_not_fit_end_the_session)
{
	uint8_t reply[64];

	files_host_begin(&host, NULL, false);
	p9c_begin(client, P9_TCLUNK);
	p9c_u32(client, 99);
	store_le32(client->message, 12);
	ck_assert_int_eq(files_session_handle(client->session, client->message, 11, reply),
			 -EPROTO);
	store_le32(client->message, 6);
	ck_assert_int_eq(files_session_handle(client->session, client->message, 6, reply), -EPROTO);
	store_le32(client->message, 11);
	ck_assert_int_eq(files_session_handle(client->session, client->message, 11, reply), 11);
	files_host_end(&host);
}
END_TEST

START_TEST(counts_beyond_the_message_are_cut_or_refused)
{
	static char text[FILES_MSIZE_MAX];
	size_t n;

	files_host_begin(&host, NULL, false);
	memset(text, 'x', 20000);
	text[20000] = '\0';
	host_write(&host, "f", text);
	ck_assert_int_eq(p9c_version(client, 8192, P9_VERSION), 0);
	ck_assert_int_eq(p9c_attach(client, P9C_ROOT), 0);
	ck_assert_int_eq(p9c_go(client, "f", 2), 0);
	ck_assert_int_eq(p9c_open(client, 2, P9_RDWR), 0);
	ck_assert_int_eq(p9c_read(client, 2, 0, UINT32_MAX, text, &n), 0);
	ck_assert_uint_eq(n, 8192 - P9_READ_HEADER);
	ck_assert_int_eq(p9c_read(client, 2, UINT64_MAX, 10, text, &n), EINVAL);
	ck_assert_int_eq(p9c_read(client, 2, INT64_MAX, 10, text, &n), EINVAL);
	ck_assert_int_eq(p9c_read(client, 2, 19999, 10, text, &n), 0);
	ck_assert_uint_eq(n, 1);
	ck_assert_int_eq(p9c_write(client, 2, INT64_MAX, "x", 1, &n), EFBIG);
	/* A write that says another length than there is. */
	p9c_begin(client, P9_TWRITE);
	p9c_u32(client, 2);
	p9c_u64(client, 0);
	p9c_u32(client, 1000);
	p9c_bytes(client, "short", 5);
	ck_assert_int_eq(p9c_send(client), EPROTO);
	store_le32(client->message + 19, 4);
	ck_assert_int_eq(p9c_send(client), EPROTO);
	store_le32(client->message + 19, 5);
	ck_assert_int_eq(p9c_send(client), 0);
	files_host_end(&host);
}
END_TEST

/* Sends a request whole but for its last bytes, for every number of them. */
static void cut(unsigned whole)
{
	size_t length = client->length, at;
	int ret;

	for (at = P9_HEADER_SIZE; at < length; at++) {
		client->length = at;
		ret = p9c_send(client);
		ck_assert_msg(ret == EPROTO || ret == EBADF, "request %u cut to %zu of %zu: %d",
			      client->message[4], at, length, ret);
	}
	client->length = length;
	/* And with a byte too many. */
	p9c_u8(client, 0);
	ret = p9c_send(client);
	ck_assert_msg(ret == EPROTO, "request %u with a byte too many: %d", client->message[4],
		      ret);
	client->length = length;
	ret = p9c_send(client);
	ck_assert_msg(ret == (int)whole, "request %u whole: %d", client->message[4], ret);
}

static void put_fields(const char *fields)
{
	for (; *fields; fields++) {
		if (*fields == '1')
			p9c_u8(client, 0);
		else if (*fields == '4')
			p9c_u32(client, 0);
		else if (*fields == '8')
			p9c_u64(client, 0);
		else if (*fields == 's')
			p9c_string(client, "name");
		else if (*fields == 'f')
			p9c_u32(client, 3);
	}
}

START_TEST(messages_cut_at_every_byte_are_refused)
{
	/* The fields behind the first fid, which is the file 2; the reply to its whole request. */
	static const struct {
		uint8_t type;
		const char *fields;
		int whole;
	} requests[] = {
		{P9_TSTATFS, "", 0},
		{P9_TREADLINK, "", EINVAL},
		{P9_TGETATTR, "8", 0},
		{P9_TSETATTR, "444488888", 0},
		{P9_TXATTRWALK, "4s", EOPNOTSUPP},
		{P9_TLOPEN, "4", 0},
		{P9_TREADDIR, "84", ENOTDIR},
		{P9_TFSYNC, "4", 0},
		{P9_TLOCK, "14884s", 0},
		{P9_TGETLOCK, "1884s", 0},
		{P9_TREAD, "84", 0},
		{P9_TLCREATE, "s444", EINVAL},
		{P9_TSYMLINK, "ss4", ENOTDIR},
		{P9_TMKNOD, "s4444", EPERM},
		{P9_TRENAME, "fs", 0},
		{P9_TXATTRCREATE, "s84", EINVAL},
		{P9_TLINK, "fs", ENOTDIR},
		{P9_TMKDIR, "s44", ENOTDIR},
		{P9_TRENAMEAT, "sfs", ENOTDIR},
		{P9_TUNLINKAT, "s4", ENOTDIR},
		{P9_TREMOVE, "", 0},
	};
	size_t i;

	files_host_begin(&host, NULL, false);
	host_write(&host, "f", "x");
	host_mkdir(&host, "d");
	ck_assert_int_eq(p9c_go(client, "f", 2), 0);
	ck_assert_int_eq(p9c_go(client, "d", 3), 0);
	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		p9c_begin(client, requests[i].type);
		p9c_u32(client, 2);
		put_fields(requests[i].fields);
		cut((unsigned)requests[i].whole);
	}
	p9c_begin(client, P9_TATTACH);
	p9c_u32(client, 7);
	p9c_u32(client, P9_NOFID);
	put_fields("ss4");
	cut(0);
	p9c_begin(client, P9_TWALK);
	p9c_u32(client, 3);
	p9c_u32(client, 8);
	p9c_u16(client, 2);
	put_fields("ss");
	cut(ENOENT);
	p9c_begin(client, P9_TFLUSH);
	p9c_u16(client, 8);
	cut(0);
	p9c_begin(client, P9_TVERSION);
	p9c_u32(client, 8192);
	p9c_string(client, P9_VERSION);
	cut(0);
	files_host_end(&host);
}
END_TEST

/* --- the host --------------------------------------------------------------------------------- */

START_TEST(fifos_sockets_and_devices_are_shown_and_never_opened)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct p9_attributes attributes;
	int fd;

	files_host_begin(&host, NULL, false);
	host_write(&host, "file", "x");
	ck_assert_int_eq(mkfifo(host_path(&host, "fifo"), 0666), 0);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", host_path(&host, "socket"));
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(p9c_stat(client, "fifo", &attributes), 0);
	ck_assert_uint_eq(attributes.mode & S_IFMT, S_IFIFO);
	/* Blocking here would stop the test. */
	ck_assert_int_eq(p9c_try_open(client, "fifo", P9_RDONLY), EACCES);
	ck_assert_int_eq(p9c_try_open(client, "fifo", P9_WRONLY), EACCES);
	ck_assert_int_eq(p9c_try_open(client, "fifo", P9_RDWR | P9_TRUNC), EACCES);
	ck_assert_int_eq(p9c_try_open(client, "socket", P9_RDWR), EACCES);
	ck_assert_int_eq(p9c_go(client, "", 2), 0);
	ck_assert_int_eq(p9c_create(client, 2, "fifo", P9_WRONLY, 0644), EACCES);
	ck_assert_int_eq(p9c_go(client, "fifo", 3), 0);
	ck_assert_int_eq(p9c_setattr(client, 3, P9_SETATTR_SIZE, 0, 0), EINVAL);
	ck_assert_int_eq(p9c_link(client, P9C_ROOT, 3, "second"), EPERM);
	if (mknod(host_path(&host, "null"), S_IFCHR | 0666, 0x103) == 0) {
		ck_assert_int_eq(p9c_try_open(client, "null", P9_RDWR), EACCES);
		ck_assert_int_eq(p9c_stat(client, "null", &attributes), 0);
		ck_assert_uint_eq(attributes.rdev, 0);
	}
	ck_assert_int_eq(p9c_try_open(client, "file", P9_RDWR), 0);
	close(fd);
	files_host_end(&host);
}
END_TEST

START_TEST(the_guest_can_make_no_nodes)
{
	files_host_begin(&host, NULL, false);
	p9c_begin(client, P9_TMKNOD);
	p9c_u32(client, P9C_ROOT);
	p9c_string(client, "node");
	p9c_u32(client, S_IFIFO | 0666);
	p9c_u64(client, 0);
	p9c_u32(client, 0);
	ck_assert_int_eq(p9c_send(client), EPERM);
	ck_assert(!host_has(&host, "node"));
	ck_assert_int_eq(p9c_mkdir(client, P9C_ROOT, "node", 0755), 0);
	files_host_end(&host);
}
END_TEST

START_TEST(a_file_truncated_while_it_is_read_just_ends)
{
	char text[64];
	size_t n;

	files_host_begin(&host, NULL, false);
	host_write(&host, "f", "0123456789");
	ck_assert_int_eq(p9c_go(client, "f", 2), 0);
	ck_assert_int_eq(p9c_open(client, 2, P9_RDONLY), 0);
	ck_assert_int_eq(p9c_read(client, 2, 0, 5, text, &n), 0);
	ck_assert_uint_eq(n, 5);
	ck_assert_int_eq(truncate(host_path(&host, "f"), 3), 0);
	ck_assert_int_eq(p9c_read(client, 2, 5, 5, text, &n), 0);
	ck_assert_uint_eq(n, 0);
	ck_assert_int_eq(p9c_read(client, 2, 0, 5, text, &n), 0);
	ck_assert_uint_eq(n, 3);
	files_host_end(&host);
}
END_TEST

START_TEST(a_share_whose_directory_vanishes_has_nothing)
{
	struct p9_attributes attributes;
	char names[64], away[300];
	size_t n;

	files_host_begin(&host, NULL, false);
	host_write(&host, "f", "still");
	ck_assert_int_eq(p9c_go(client, "f", 2), 0);
	ck_assert_int_eq(p9c_go(client, "f", 3), 0);
	ck_assert_int_eq(p9c_open(client, 3, P9_RDONLY), 0);
	/* Moved it is still the same directory; removed it is none. */
	snprintf(away, sizeof(away), "%s/away", host.top);
	ck_assert_int_eq(rename(host.base, away), 0);
	ck_assert_int_eq(p9c_getattr(client, 2, &attributes), 0);
	ck_assert_int_eq(rename(away, host.base), 0);
	ck_assert_int_eq(unlink(host_path(&host, "f")), 0);
	ck_assert_int_eq(rmdir(host.base), 0);
	ck_assert_int_eq(p9c_getattr(client, 2, &attributes), ENOENT);
	ck_assert_int_eq(p9c_go(client, "f", 4), ENOENT);
	ck_assert_int_eq(p9c_mkdir(client, P9C_ROOT, "d", 0755), ENOENT);
	ck_assert_int_eq(p9c_read(client, 3, 0, 9, names, &n), 0);
	ck_assert_uint_eq(n, 5);
	ck_assert_int_eq(p9c_ls(client, "", names, sizeof(names)), ENOENT);
	files_host_end(&host);
}
END_TEST

START_TEST(links_of_the_host_lead_nowhere)
{
	char text[64];

	files_host_begin(&host, NULL, false);
	host_mkdir(&host, "d");
	host_write(&host, "d/f", "inside");
	ck_assert_int_eq(symlink("..", host_path(&host, "up")), 0);
	ck_assert_int_eq(symlink("/", host_path(&host, "root")), 0);
	ck_assert_int_eq(symlink("d", host_path(&host, "side")), 0);
	ck_assert_int_eq(symlink("/proc/self/root", host_path(&host, "magic")), 0);
	ck_assert_int_eq(p9c_cat(client, "up/secret", text, sizeof(text)), ENOENT);
	ck_assert_int_eq(p9c_cat(client, "root/etc/passwd", text, sizeof(text)), ENOENT);
	ck_assert_int_eq(p9c_cat(client, "magic/etc/passwd", text, sizeof(text)), ENOENT);
	ck_assert_int_eq(p9c_cat(client, "side/f", text, sizeof(text)), ENOENT);
	ck_assert_int_eq(p9c_cat(client, "d/f", text, sizeof(text)), 0);
	/* A directory that turns into a link behind the guest's back. */
	ck_assert_int_eq(p9c_go(client, "d", 2), 0);
	ck_assert_int_eq(rename(host_path(&host, "d"), host_path(&host, "d2")), 0);
	ck_assert_int_eq(symlink("..", host_path(&host, "d")), 0);
	ck_assert_int_eq(p9c_walk(client, 2, 3, "secret", NULL), ENOTDIR);
	ck_assert_int_eq(p9c_create(client, 2, "made", P9_RDWR, 0644), ENOTDIR);
	ck_assert_int_eq(p9c_mkdir(client, 2, "made", 0755), ENOTDIR);
	ck_assert_int_eq(p9c_unlink(client, 2, "secret", 0), ENOTDIR);
	ck_assert_int_eq(p9c_renameat(client, 2, "secret", P9C_ROOT, "stolen"), ENOTDIR);
	ck_assert(host_has(&host, "../secret"));
	ck_assert(!host_has(&host, "../made"));
	files_host_end(&host);
}
END_TEST

START_TEST(invalid_shares_are_refused)
{
	struct files_share_config config = {.guest = "/w", .id_base = 100000};
	struct files_share share;
	struct err err;

	files_host_begin(&host, NULL, false);
	host_write(&host, "file", "x");
	config.host = "/proc";
	ck_assert_int_eq(files_share_open(&share, &config, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "pseudo file system"));
	config.host = host_path(&host, "file");
	ck_assert_int_eq(files_share_open(&share, &config, &err), -ENOTDIR);
	config.host = host_path(&host, "nothing");
	ck_assert_int_eq(files_share_open(&share, &config, &err), -ENOENT);
	config.host = host.base;
	config.guest = "w";
	ck_assert_int_eq(files_share_open(&share, &config, &err), -EINVAL);
	config.guest = "/a/../b";
	ck_assert_int_eq(files_share_open(&share, &config, &err), -EINVAL);
	config.guest = "//a/./b//";
	ck_assert_int_eq(files_share_open(&share, &config, &err), 0);
	ck_assert_str_eq(share.guest, "/a/b");
	files_share_close(&share);
	files_host_end(&host);
}
END_TEST

UNIT_MAIN("files_messages", nothing_works_before_a_version_and_another_one_begins_anew,
	  sizes_that_do_not_fit_end_the_session, counts_beyond_the_message_are_cut_or_refused,
	  messages_cut_at_every_byte_are_refused,
	  fifos_sockets_and_devices_are_shown_and_never_opened, the_guest_can_make_no_nodes,
	  a_file_truncated_while_it_is_read_just_ends, a_share_whose_directory_vanishes_has_nothing,
	  links_of_the_host_lead_nowhere, invalid_shares_are_refused)
