/* SPDX-License-Identifier: Apache-2.0 */
/* Which files of the host `--rootfs host` shows. */
#include "vmm/files/host_root.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/support/p9_client.h"
#include "tests/support/unit.h"

START_TEST(programs_are_shown_and_secrets_are_not)
{
	static const struct {
		const char *path;
		bool shown;
	} cases[] = {
		{"/", true},
		{"/usr", true},
		{"/usr/lib/x86_64-linux-gnu/libc.so.6", true},
		{"/usrx", false},
		{"/us", false},
		{"/bin", true},
		{"/bin/sh", true},
		{"/lib64/ld-linux-x86-64.so.2", true},
		{"/lib6", false},
		{"/etc", true},
		{"/etc/ssl", true},
		{"/etc/ssl/certs", true},
		{"/etc/ssl/certs/ca-certificates.crt", true},
		{"/etc/ssl/certsx", false},
		{"/etc/ssl/private", false},
		{"/etc/ssl/private/key.pem", false},
		{"/etc/pki/tls", true},
		{"/etc/pki/tls/private", false},
		{"/etc/ld.so.cache", true},
		{"/etc/shadow", false},
		{"/etc/passwd", false},
		{"/etc/ssh/ssh_host_rsa_key", false},
		{"/etc/machine-id", false},
		{"/etc/environment", false},
		{"/root", false},
		{"/root/.ssh/id_rsa", false},
		{"/home", false},
		{"/home/user", false},
		{"/var", false},
		{"/run", false},
		{"/tmp", false},
		{"/proc", false},
		{"/proc/self/root/usr", false},
		{"/sys", false},
		{"/dev", false},
		{"/boot", false},
		{"/opt", false},
		{"/srv", false},
		{"/mnt", false},
		{"//usr", false}, /* not normalised: never requested */
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		ck_assert_msg(host_root_shows(cases[i].path, strlen(cases[i].path)) ==
				      cases[i].shown,
			      "%s", cases[i].path);
	/* Not terminated by NUL. */
	ck_assert(host_root_shows("/usr/bin", 4) && !host_root_shows("/usr/bin", 3));
}
END_TEST

/* The server's results, compared with the host's. */
START_TEST(the_server_shows_only_these)
{
	static const char *const absent[] = {"root", "home",	   "proc",	 "dev",
					     "tmp",  "etc/passwd", "etc/shadow", "etc/ssl/private"};
	static struct p9_client client;
	const struct files_share_config config = {
		.host = "/", .guest = "/", .rootfs = true, .host_root = true, .id_base = 100000};
	struct p9_attributes attributes;
	struct files_share share;
	char names[4096], text[8];
	struct err err;
	size_t i;

	ck_assert_msg(files_share_open(&share, &config, &err) == 0, "%s", err.text);
	ck_assert_int_eq(files_session_create(&client.session, &share), 0);
	ck_assert_int_eq(p9c_version(&client, 65536, "9P2000.L"), 0);
	ck_assert_int_eq(p9c_attach(&client, P9C_ROOT), 0);
	for (i = 0; i < ARRAY_SIZE(absent); i++)
		ck_assert_msg(p9c_stat(&client, absent[i], &attributes) == ENOENT, "%s", absent[i]);
	ck_assert_int_eq(p9c_stat(&client, "usr/bin/env", &attributes), 0);
	ck_assert_uint_eq(attributes.uid, 100000); /* root's is the sandbox's root's */
	ck_assert_int_eq(p9c_cat(&client, "usr/bin/env", text, sizeof(text)), 0);
	ck_assert_mem_eq(text + 1, "ELF", 3);
	ck_assert_int_eq(p9c_ls(&client, "", names, sizeof(names)), 0);
	ck_assert_ptr_nonnull(strstr(names, "usr\n"));
	ck_assert_ptr_nonnull(strstr(names, "etc\n"));
	ck_assert_ptr_null(strstr(names, "proc\n"));
	ck_assert_ptr_null(strstr(names, "root\n"));
	ck_assert_int_eq(p9c_ls(&client, "etc", names, sizeof(names)), 0);
	ck_assert_ptr_null(strstr(names, "passwd"));
	ck_assert_ptr_null(strstr(names, "shadow"));
	/* Read-only by default. */
	ck_assert_int_eq(p9c_try_open(&client, "usr/bin/env", P9_RDWR), EROFS);
	ck_assert_int_eq(p9c_mkdir(&client, P9C_ROOT, "usr2", 0755), EACCES);
	files_session_destroy(client.session);
	files_share_close(&share);
}
END_TEST

/* Owners that an image had are shown where the share says that they are noted, and only there. */
START_TEST(noted_owners_are_shown)
{
	static const struct {
		const char *noted;
		uint32_t uid, gid;
	} cases[] = {{"77:78", 100077, 100078}, {"70000:1", 165534, 100001}, {"x", 100000, 100000},
		     {"", 100000, 100000},	{"-1:-1", 165534, 165534},   {"5", 100000, 100000}};
	static struct p9_client client;
	struct files_share_config config = {.guest = "/", .rootfs = true, .id_base = 100000};
	struct p9_attributes attributes;
	struct files_share share;
	char path[] = "/tmp/cordon-owner-XXXXXX";
	struct err err;
	size_t i;

	ck_assert_ptr_nonnull(mkdtemp(path));
	config.host = path;
	for (i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
		const char *noted = cases[i / 2].noted;

		if (setxattr(path, FILES_OWNER_ATTRIBUTE, noted, strlen(noted), 0) < 0)
			break; /* not on this file system */
		config.owners = i % 2;
		ck_assert_msg(files_share_open(&share, &config, &err) == 0, "%s", err.text);
		ck_assert_int_eq(files_session_create(&client.session, &share), 0);
		ck_assert_int_eq(p9c_version(&client, 65536, "9P2000.L"), 0);
		ck_assert_int_eq(p9c_attach(&client, P9C_ROOT), 0);
		ck_assert_int_eq(p9c_stat(&client, "", &attributes), 0);
		ck_assert_uint_eq(attributes.uid, i % 2 ? cases[i / 2].uid : 100000);
		ck_assert_uint_eq(attributes.gid, i % 2 ? cases[i / 2].gid : 100000);
		files_session_destroy(client.session);
		files_share_close(&share);
	}
	rmdir(path);
}
END_TEST

struct attempt {
	struct files_session *session;
	const char *path;
	int before, after, entered;
};

static int try_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret = fd < 0 ? errno : 0;

	if (fd >= 0)
		close(fd);
	return ret;
}

static void *enter(void *arg)
{
	struct attempt *attempt = arg;

	attempt->before = try_open(attempt->path);
	attempt->entered = files_session_enter(attempt->session);
	attempt->after = try_open(attempt->path);
	return NULL;
}

/* What only root may read is not served by root's thread, and all other threads keep their rights.
 */
START_TEST(the_servers_thread_has_no_privileges)
{
	struct files_share share = {.root_fd = -1};
	struct attempt attempt;
	char path[] = "/tmp/cordon-host-XXXXXX";
	pthread_t thread;
	int host_root, fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fchmod(fd, 0600), 0);
	close(fd);
	for (host_root = 0; host_root < 2; host_root++) {
		share.host_root = host_root;
		attempt = (struct attempt){.path = path};
		ck_assert_int_eq(files_session_create(&attempt.session, &share), 0);
		ck_assert_int_eq(pthread_create(&thread, NULL, enter, &attempt), 0);
		ck_assert_int_eq(pthread_join(thread, NULL), 0);
		files_session_destroy(attempt.session);
		ck_assert_int_eq(attempt.entered, 0);
		ck_assert_int_eq(attempt.before, 0);
		ck_assert_int_eq(attempt.after, host_root && geteuid() == 0 ? EACCES : 0);
		ck_assert_int_eq(try_open(path), 0);
	}
	unlink(path);
}
END_TEST

UNIT_MAIN("host root", programs_are_shown_and_secrets_are_not, the_server_shows_only_these,
	  noted_owners_are_shown, the_servers_thread_has_no_privileges)
