/* SPDX-License-Identifier: Apache-2.0 */
/* Which files of the host `--rootfs host` shows. */
#include "vmm/files/host_root.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/files_host.h"
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

/* A session with one root, "0", which the guest may cache for long. */
static void begin(struct fuse_client *client, struct files_share *share)
{
	struct fuse_entry_out entry;
	struct fuse_init_out init;

	ck_assert_int_eq(fuse_session_create(&client->session, NULL), 0);
	ck_assert_int_eq(fuse_session_add(client->session, "0", share, FUSED_LOOSE), 0);
	ck_assert_int_eq(fc_init(client, UINT64_MAX, &init), 0);
	ck_assert_int_eq(fc_lookup(client, FUSE_ROOT_ID, "0", &entry), 0);
	client->root = entry.nodeid;
}

/* The server's results, compared with the host's. */
START_TEST(the_server_shows_only_these)
{
	static const char *const absent[] = {"root", "home",	   "proc",	 "dev",
					     "tmp",  "etc/passwd", "etc/shadow", "etc/ssl/private"};
	static struct fuse_client client;
	const struct files_share_config config = {
		.host = "/", .guest = "/", .rootfs = true, .host_root = true, .id_base = 100000};
	struct files_share share;
	struct fuse_attr attr;
	char names[4096], text[8];
	struct err err;
	size_t i;

	ck_assert_msg(files_share_open(&share, &config, &err) == 0, "%s", err.text);
	begin(&client, &share);
	for (i = 0; i < ARRAY_SIZE(absent); i++)
		ck_assert_msg(fc_stat(&client, absent[i], &attr) == ENOENT, "%s", absent[i]);
	ck_assert_int_eq(fc_stat(&client, "usr/bin/env", &attr), 0);
	ck_assert_uint_eq(attr.uid, 100000); /* root's is the sandbox's root's */
	ck_assert_int_eq(fc_cat(&client, "usr/bin/env", text, sizeof(text)), 0);
	ck_assert_mem_eq(text + 1, "ELF", 3);
	ck_assert_int_eq(fc_ls(&client, "", names, sizeof(names)), 0);
	ck_assert_ptr_nonnull(strstr(names, "usr\n"));
	ck_assert_ptr_nonnull(strstr(names, "etc\n"));
	ck_assert_ptr_null(strstr(names, "proc\n"));
	ck_assert_ptr_null(strstr(names, "root\n"));
	ck_assert_int_eq(fc_ls(&client, "etc", names, sizeof(names)), 0);
	ck_assert_ptr_null(strstr(names, "passwd"));
	ck_assert_ptr_null(strstr(names, "shadow"));
	/* Read-only by default. */
	ck_assert_int_eq(fc_try_open(&client, "usr/bin/env", O_RDWR), EROFS);
	ck_assert_int_eq(fc_mkdir(&client, client.root, "usr2", 0755), EACCES);
	fuse_session_destroy(client.session);
	files_share_close(&share);
}
END_TEST

static int try_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret = fd < 0 ? errno : 0;

	if (fd >= 0)
		close(fd);
	return ret;
}

struct attempt {
	struct fuse_client client;
	const char *path;
	int entered, before, served, open, after;
};

static void *serve(void *arg)
{
	struct attempt *attempt = arg;

	attempt->before = try_open(attempt->path);
	attempt->entered = fuse_session_enter();
	attempt->served = fc_try_open(&attempt->client, "usr/closed", O_RDONLY);
	attempt->open = fc_try_open(&attempt->client, "usr/open", O_RDONLY);
	attempt->after = try_open(attempt->path);
	return NULL;
}

/*
 * What only root may read is not served by root's thread, which has its rights back for other
 * roots; and all other threads keep theirs.
 */
START_TEST(requests_have_no_privileges)
{
	static struct attempt attempt;
	static struct files_host host;
	pthread_t thread;
	int host_root;

	files_host_begin(&host, NULL, true);
	host.share.guest[0] = '\0';
	host_mkdir(&host, "usr");
	host_write(&host, "usr/open", "open");
	host_write(&host, "usr/closed", "closed");
	ck_assert_int_eq(chmod(host_path(&host, "usr/closed"), 0600), 0);
	ck_assert_int_eq(chmod(host.top, 0755), 0);
	for (host_root = 0; host_root < 2; host_root++) {
		memset(&attempt, 0, sizeof(attempt));
		attempt.path = host_path(&host, "usr/closed");
		host.share.host_root = host_root;
		begin(&attempt.client, &host.share);
		ck_assert_int_eq(pthread_create(&thread, NULL, serve, &attempt), 0);
		ck_assert_int_eq(pthread_join(thread, NULL), 0);
		fuse_session_destroy(attempt.client.session);
		ck_assert_int_eq(attempt.entered, 0);
		ck_assert_int_eq(attempt.before, 0);
		ck_assert_int_eq(attempt.open, 0);
		ck_assert_int_eq(attempt.served, host_root && geteuid() == 0 ? EACCES : 0);
		ck_assert_int_eq(attempt.after, 0);
		ck_assert_int_eq(try_open(attempt.path), 0);
	}
	files_host_end(&host);
}
END_TEST

UNIT_MAIN("host root", programs_are_shown_and_secrets_are_not, the_server_shows_only_these,
	  requests_have_no_privileges)
