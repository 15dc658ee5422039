/* SPDX-License-Identifier: Apache-2.0 */
/* A file server that takes another one's place, with what the guest has open. */
#include <linux/fuse.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/socket.h>

#include "tests/unit/files_client_common.h"
#include "vmm/base/fd.h"
#include "vmm/files/client_internal.h"
#include "vmm/policy/guard_remote.h"

static struct files_client *next;
static struct files_told told_of_next;
static struct files_share second;
static char other[] = "/tmp/cordon-test-second.XXXXXX";

static void next_died(void *arg, const char *why)
{
	(void)arg;
	told_of_next.died++;
	snprintf(told_of_next.why, sizeof(told_of_next.why), "%s", why);
}

static const struct files_client_ops next_ops = {.died = next_died};

/* A server with the roots of these numbers: 0 is the host's, others are the second directory. */
static void begin_next(uint64_t bytes, bool first, unsigned number)
{
	const struct files_client_config config = {.guard = host.guard,
						   .bytes_max = bytes,
						   .files_max = bytes,
						   .ops = &next_ops,
						   .old = files};
	struct err err = {""};

	memset(&told_of_next, 0, sizeof(told_of_next));
	ck_assert_msg(files_client_create(&next, loop, &config, &err) == 0, "%s", err.text);
	if (first)
		ck_assert_int_eq(files_client_add(next, 0, &host.share, FUSED_STRICT), 0);
	if (number)
		ck_assert_int_eq(files_client_add(next, number, &second, FUSED_STRICT), 0);
	files_client_begin(next);
}

static void succeed(void)
{
	ck_assert_int_eq(files_client_succeed(next, files), 0);
	files_client_lead(next, files, &told_ops);
	files_client_destroy(files);
	files = next;
	next = NULL;
}

static void begin_second(const char *policy)
{
	const struct files_share_config config = {.host = other, .guest = "/second"};
	struct err err = {""};

	begin_files(policy, false);
	ck_assert_ptr_nonnull(mkdtemp(other));
	ck_assert_msg(files_share_open(&second, &config, &err) == 0, "%s", err.text);
}

static void end_second(void)
{
	char command[128];

	files_share_close(&second);
	snprintf(command, sizeof(command), "rm -r %s", other);
	ck_assert_int_eq(system(command), 0);
	strcpy(strrchr(other, '.'), ".XXXXXX");
	end_files();
}

static uint64_t created(const char *name, uint64_t *node)
{
	uint64_t fh;

	ck_assert_int_eq(fc_create(client, ROOT, name, O_RDWR, 0644, node, &fh), 0);
	return fh;
}

static const char *bytes_at(uint64_t node, uint64_t fh)
{
	static char text[64];
	size_t n = 0;

	ck_assert_int_eq(fc_read(client, node, fh, 0, sizeof(text) - 1, text, &n), 0);
	text[n] = '\0';
	return text;
}

START_TEST(what_is_open_goes_on)
{
	uint64_t node[3], fh[3], directory;
	struct fuse_entry_out entry;
	struct fuse_attr attr;
	struct flock range;
	char names[64];
	int fd;

	begin_second(NULL);
	fh[0] = created("stays", &node[0]);
	fh[1] = created("removed", &node[1]);
	fh[2] = created("replaced", &node[2]);
	ck_assert_int_eq(fc_write(client, node[0], fh[0], 0, "one", 3, 0), 0);
	ck_assert_int_eq(fc_write(client, node[1], fh[1], 0, "two", 3, 0), 0);
	ck_assert_int_eq(fc_write(client, node[2], fh[2], 0, "three", 5, 0), 0);
	ck_assert_int_eq(fc_unlink(client, ROOT, "removed"), 0);
	unlink(host_path(&host, "replaced"));
	host_write(&host, "replaced", "other");
	ck_assert_int_eq(fc_opendir(client, ROOT, &directory), 0);
	ck_assert_int_eq(fc_lock(client, FUSE_SETLK, node[0], fh[0], 1, F_WRLCK, 10, 20, 0), 0);
	ck_assert_int_eq(
		fc_lock(client, FUSE_SETLK, node[0], fh[0], 1, F_WRLCK, 0, 0, FUSE_LK_FLOCK), 0);
	ck_assert_int_eq(fc_lookup(client, FUSE_ROOT_ID, "7", &entry), ENOENT);
	begin_next(0, true, 7);
	succeed();
	ck_assert_str_eq(bytes_at(node[0], fh[0]), "one");
	ck_assert_str_eq(bytes_at(node[1], fh[1]), "two");
	ck_assert_str_eq(bytes_at(node[2], fh[2]), "three");
	ck_assert_int_eq(fc_write(client, node[1], fh[1], 0, "TWO", 3, 0), 0);
	ck_assert_str_eq(bytes_at(node[1], fh[1]), "TWO");
	ck_assert_int_eq(fc_list(client, ROOT, directory, 400, names, sizeof(names), NULL), 0);
	ck_assert_ptr_nonnull(strstr(names, "stays\n"));
	/* The host never saw it unlocked. */
	fd = open(host_path(&host, "stays"), O_RDWR | O_CLOEXEC);
	range = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 15, .l_len = 1};
	ck_assert(fcntl(fd, F_OFD_SETLK, &range) < 0);
	range.l_start = 30;
	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &range), 0);
	ck_assert(flock(fd, LOCK_EX | LOCK_NB) < 0);
	ck_assert_int_eq(
		fc_lock(client, FUSE_SETLK, node[0], fh[0], 1, F_UNLCK, 0, 0, FUSE_LK_FLOCK), 0);
	ck_assert_int_eq(fc_lock(client, FUSE_SETLK, node[0], fh[0], 1, F_UNLCK, 10, 20, 0), 0);
	ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
	range.l_start = 15;
	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &range), 0);
	close(fd);
	/* The new root is there. */
	ck_assert_int_eq(fc_lookup(client, FUSE_ROOT_ID, "7", &entry), 0);
	ck_assert_int_eq(fc_mkdir(client, entry.nodeid, "new", 0755), 0);
	ck_assert_int_eq(fc_getattr(client, node[0], &attr), 0);
	ck_assert_uint_eq(told.died, 0);
	end_second();
}
END_TEST

START_TEST(a_root_goes)
{
	struct fuse_entry_out entry;
	struct fuse_attr attr;
	uint64_t node, fh, kept, kept_fh;

	begin_second(NULL);
	begin_next(0, true, 64);
	succeed();
	ck_assert_int_eq(fc_lookup(client, FUSE_ROOT_ID, "64", &entry), 0);
	ck_assert_int_eq(fc_create(client, entry.nodeid, "f", O_RDWR, 0644, &node, &fh), 0);
	kept_fh = created("kept", &kept);
	ck_assert_int_eq(fc_write(client, kept, kept_fh, 0, "kept", 4, 0), 0);
	begin_next(0, true, 0);
	succeed();
	ck_assert_int_eq(fc_write(client, node, fh, 0, "x", 1, 0), ESTALE);
	ck_assert_int_eq(fc_getattr(client, entry.nodeid, &attr), ESTALE);
	ck_assert_int_eq(fc_lookup(client, entry.nodeid, "f", &entry), ESTALE);
	ck_assert_int_eq(fc_lookup(client, FUSE_ROOT_ID, "64", &entry), ENOENT);
	ck_assert_str_eq(bytes_at(kept, kept_fh), "kept");
	/* Another root of another number means none of its numbers. */
	begin_next(0, true, 3);
	succeed();
	ck_assert_int_eq(fc_getattr(client, node, &attr), ESTALE);
	ck_assert_str_eq(bytes_at(kept, kept_fh), "kept");
	end_second();
}
END_TEST

/* A server of the host's directory, in which BOUND bytes may be made. */
#define BOUND 20480

static void begin_bounded(void)
{
	struct err err = {""};
	const struct files_client_config config = {
		.bytes_max = BOUND, .files_max = BOUND, .ops = &told_ops};

	begin_host(NULL, false);
	ck_assert_int_eq(files_client_create(&files, loop, &config, &err), 0);
	ck_assert_int_eq(files_client_add(files, 0, &host.share, FUSED_STRICT), 0);
	files_client_begin(files);
	greet();
}

/* What was made is counted once, also what has no name any more. */
START_TEST(what_was_made_counts_on)
{
	uint64_t node[2], fh[2], more, more_fh;
	char block[8192] = {0};

	begin_bounded();
	fh[0] = created("a", &node[0]);
	fh[1] = created("b", &node[1]);
	ck_assert_int_eq(fc_write(client, node[0], fh[0], 0, block, 8192, 0), 0);
	ck_assert_int_eq(fc_write(client, node[1], fh[1], 0, block, 8192, 0), 0);
	ck_assert_int_eq(fc_unlink(client, ROOT, "a"), 0);
	begin_next(BOUND, true, 0);
	succeed();
	more_fh = created("c", &more);
	ck_assert_int_eq(fc_write(client, more, more_fh, 0, block, 8192, 0), ENOSPC);
	ck_assert_int_eq(fc_write(client, more, more_fh, 0, block, 4096, 0), 0);
	ck_assert_int_eq(fc_release(client, node[0], fh[0]), 0);
	ck_assert_int_eq(fc_write(client, more, more_fh, 4096, block, 8192, 0), 0);
	ck_assert_int_eq(fc_write(client, more, more_fh, 12288, block, 1, 0), ENOSPC);
	end_files();
}
END_TEST

/* Also while there is no root, or taking back the last share would begin the count anew. */
START_TEST(what_was_made_counts_on_without_roots)
{
	uint64_t node, fh;
	char block[8192] = {0};

	begin_bounded();
	fh = created("a", &node);
	ck_assert_int_eq(fc_write(client, node, fh, 0, block, 8192, 0), 0);
	ck_assert_int_eq(fc_write(client, node, fh, 8192, block, 8192, 0), 0);
	ck_assert_int_eq(fc_release(client, node, fh), 0);
	begin_next(BOUND, false, 0);
	succeed();
	begin_next(BOUND, true, 0);
	succeed();
	greet();
	fh = created("b", &node);
	ck_assert_int_eq(fc_write(client, node, fh, 0, block, 8192, 0), ENOSPC);
	ck_assert_int_eq(fc_write(client, node, fh, 0, block, 4096, 0), 0);
	ck_assert_int_eq(fc_write(client, node, fh, 4096, block, 1, 0), ENOSPC);
	end_files();
}
END_TEST

/* One that can't go on leaves the old one as it was. */
START_TEST(a_successor_that_ends)
{
	uint64_t node, fh;

	begin_second(NULL);
	fh = created("f", &node);
	ck_assert_int_eq(fc_write(client, node, fh, 0, "text", 4, 0), 0);
	begin_next(0, true, 7);
	kill(next->pid, SIGKILL);
	ck_assert_int_eq(files_client_succeed(next, files), -EPIPE);
	files_client_destroy(next);
	ck_assert_str_eq(bytes_at(node, fh), "text");
	/* Files were not given away yet: another one can. */
	begin_next(0, true, 7);
	succeed();
	ck_assert_str_eq(bytes_at(node, fh), "text");
	/* After they were, none can. */
	fd_close(&files->pass_fd);
	begin_next(0, true, 7);
	ck_assert_int_eq(files_client_succeed(next, files), -EBADF);
	files_client_destroy(next);
	ck_assert_str_eq(bytes_at(node, fh), "text");
	ck_assert_uint_eq(told.died, 0);
	end_second();
}
END_TEST

/* A policy that is replaced while the new server begins is in effect in both. */
START_TEST(the_policy_follows)
{
	begin_second("file write /**\n");
	begin_next(0, true, 7);
	files_host_replace(&host, "file read /w/no/**\nfile write /**\n");
	ck_assert_int_eq(fc_mkdir(client, ROOT, "no", 0755), EACCES);
	succeed();
	ck_assert_int_eq(fc_mkdir(client, ROOT, "no", 0755), EACCES);
	ck_assert_int_eq(fc_mkdir(client, ROOT, "yes", 0755), 0);
	files_host_replace(&host, "file write /**\n");
	ck_assert_int_eq(fc_mkdir(client, ROOT, "no", 0755), 0);
	ck_assert_uint_eq(told.died, 0);
	end_second();
}
END_TEST

/* --- what a predecessor says is hostile ------------------------------------------------------- */

static void forge(struct fuse_session *session, uint32_t kind, uint32_t root, uint32_t slot,
		  const char *path)
{
	const struct fuse_passed what = {
		.kind = kind, .root = root, .slot = slot, .flags = UINT32_MAX, .version = ~0ull};

	fuse_session_take(session, &what, open(path, O_RDONLY | O_CLOEXEC));
}

START_TEST(what_has_no_place_is_closed)
{
	static const uint32_t numbers[] = {0, 1, 64, 65, 1000, UINT32_MAX};
	struct files_host own;
	uint64_t node, fh;
	struct fuse_open_out out;
	unsigned before, i, k, kind;
	size_t n;
	char text[8];

	files_host_begin(&own, NULL, false);
	host_write(&own, "f", "f");
	ck_assert_int_eq(fc_go(&own.client, "f", &node), 0);
	ck_assert_int_eq(fc_open(&own.client, node, O_RDONLY, &out), 0);
	fh = out.fh;
	before = open_fds();
	for (kind = 0; kind <= 3; kind++)
		for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
			for (k = 0; k < sizeof(numbers) / sizeof(numbers[0]); k++)
				forge(own.client.session, kind, numbers[i], numbers[k], "/");
	/* What is open already stays what it is. */
	forge(own.client.session, FUSE_PASSED_FILE, 0, 0, "/dev/null");
	forge(own.client.session, FUSE_PASSED_LOCKS, 0, 0, "/dev/null");
	ck_assert_uint_eq(open_fds(), before);
	ck_assert_int_eq(fc_read(&own.client, node, fh, 0, 8, text, &n), 0);
	ck_assert_uint_eq(n, 1);
	files_host_end(&own);
}
END_TEST

/* In place of the predecessor's socket one of the test's. */
static int pass_by_test(void)
{
	int pair[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	fd_close(&files->pass_fd);
	files->pass_fd = pair[0];
	return pair[1];
}

START_TEST(a_predecessor_that_lies)
{
	struct fuse_passed what = {.kind = FUSE_PASSED_FILE, .root = 64, .slot = 9};
	struct iovec part = {&what, sizeof(what)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	uint64_t node, fh;
	unsigned way;
	int peer;

	begin_second(NULL);
	fh = created("f", &node);
	ck_assert_int_eq(fc_write(client, node, fh, 0, "text", 4, 0), 0);
	for (way = 0; way < 3; way++) {
		peer = pass_by_test();
		begin_next(0, true, 7);
		/* A message that is too short; a file without a descriptor; nothing at all. */
		part.iov_len = way == 0 ? 3 : sizeof(what);
		if (way < 2)
			ck_assert_int_gt(sendmsg(peer, &message, MSG_NOSIGNAL), 0);
		ck_assert_int_eq(files_client_succeed(next, files), -EPIPE);
		files_client_destroy(next);
		close(peer);
		ck_assert_str_eq(bytes_at(node, fh), "text");
	}
	/* Nothing but the end: files are opened again by their paths. */
	peer = pass_by_test();
	begin_next(0, true, 7);
	what.kind = 0;
	ck_assert_int_gt(sendmsg(peer, &message, MSG_NOSIGNAL), 0);
	succeed();
	close(peer);
	ck_assert_str_eq(bytes_at(node, fh), "text");
	ck_assert_uint_eq(told.died, 0);
	end_second();
}
END_TEST

UNIT_MAIN("files_succession", what_is_open_goes_on, a_root_goes, what_was_made_counts_on,
	  what_was_made_counts_on_without_roots, a_successor_that_ends, the_policy_follows,
	  what_has_no_place_is_closed, a_predecessor_that_lies)
