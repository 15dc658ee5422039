/* SPDX-License-Identifier: Apache-2.0 */
/* The file server's process, this program again, behind the monitor's end of it. */
#include <linux/fuse.h>
#include <signal.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#include "tests/unit/files_client_common.h"

static char text[FILES_REPLY_MAX + 4096];

START_TEST(files_are_served)
{
	struct fuse_attr attributes;
	uint64_t node, fh, d;
	size_t n;

	begin_files(NULL, false);
	host_write(&host, "f", "hello");
	ck_assert_int_eq(fc_cat(client, "f", text, sizeof(text)), 0);
	ck_assert_str_eq(text, "hello");
	ck_assert_int_eq(fc_create(client, ROOT, "new", O_RDWR, 0620, &node, &fh), 0);
	ck_assert_int_eq(fc_write(client, node, fh, 0, "data", 4, 0), 0);
	ck_assert_int_eq(fc_release(client, node, fh), 0);
	ck_assert_str_eq(host_read(&host, "new"), "data");
	ck_assert_int_eq(fc_stat(client, "new", &attributes), 0);
	ck_assert_uint_eq(attributes.mode & 07777, 0620);
	ck_assert_int_eq(fc_setattr(client, node, FATTR_MODE | FATTR_SIZE | FATTR_MTIME, 0600, 2),
			 0);
	ck_assert_str_eq(host_read(&host, "new"), "da");
	ck_assert_int_eq(fc_mkdir(client, ROOT, "d", 0755), 0);
	d = node_of("d");
	ck_assert_int_eq(fc_rename(client, ROOT, "new", d, "moved", 0), 0);
	ck_assert_int_eq(fc_link(client, d, "linked", node), 0);
	ck_assert_int_eq(fc_symlink(client, d, "link", "moved"), 0);
	ck_assert_int_eq(fc_readlink(client, node_of("d/link"), text, sizeof(text)), 0);
	ck_assert_int_eq(fc_unlink(client, d, "moved"), 0);
	ck_assert_str_eq(host_read(&host, "d/linked"), "da");
	ck_assert_int_eq(fc_mkdir(client, d, "e", 0700), 0);
	ck_assert_int_eq(fc_rmdir(client, d, "e"), 0);
	n = 0;
	ck_assert_int_ne(fc_list_xattr(client, d, text, 100, &n), FC_NONE);
	ck_assert_int_eq(fc_ls(client, "d", text, sizeof(text)), 0);
	ck_assert_ptr_nonnull(strstr(text, "linked\n"));
	/* Without a reply. */
	ck_assert_int_eq(fc_forget(client, node, 1), FC_NONE);
	ck_assert_int_eq(fc_stat(client, "nothing", &attributes), ENOENT);
	ck_assert_uint_eq(told.died, 0);
	end_files();
}
END_TEST

START_TEST(large_messages_fit)
{
	const uint32_t most = FILES_REQUEST_MAX - 4096;
	uint64_t node, fh;
	size_t n = 0, i;

	begin_files(NULL, false);
	memset(text, 'x', sizeof(text));
	ck_assert_int_eq(fc_create(client, ROOT, "big", O_RDWR, 0600, &node, &fh), 0);
	ck_assert_int_eq(fc_write(client, node, fh, 0, text, most, 0), 0);
	memset(text, 0, sizeof(text));
	client->room = FILES_REPLY_MAX;
	ck_assert_int_eq(fc_read(client, node, fh, 0, most, text, &n), 0);
	ck_assert_uint_eq(n, most);
	for (i = 0; i < n && text[i] == 'x'; i++)
		;
	ck_assert_uint_eq(i, n);
	ck_assert_uint_eq(told.died, 0);
	end_files();
}
END_TEST

START_TEST(several_roots)
{
	struct files_share_config config = {.guest = "/other", .read_only = true};
	char other[] = "/tmp/cordon-test-other.XXXXXX", path[64];
	struct fuse_entry_out entry;
	struct files_share share;
	struct err err;
	uint64_t node;
	int fd;

	ck_assert_ptr_nonnull(mkdtemp(other));
	snprintf(path, sizeof(path), "%s/g", other);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	close(fd);
	config.host = other;
	ck_assert_int_eq(files_share_open(&share, &config, &err), 0);
	begin_host(NULL, false);
	begin_server();
	ck_assert_int_eq(files_client_add(files, 0, &host.share, FUSED_STRICT), 0);
	ck_assert_int_eq(files_client_add(files, 0, &share, FUSED_LOOSE), -EEXIST);
	ck_assert_int_eq(files_client_add(files, FILES_SHARES_MAX + 1, &share, FUSED_LOOSE),
			 -EINVAL);
	greet();
	/* Added behind requests, and there for the next one. */
	ck_assert_int_eq(fc_lookup(client, FUSE_ROOT_ID, "64", &entry), ENOENT);
	ck_assert_int_eq(files_client_add(files, FILES_SHARES_MAX, &share, FUSED_LOOSE), 0);
	ck_assert_int_eq(fc_lookup(client, FUSE_ROOT_ID, "64", &entry), 0);
	ck_assert_int_eq(fc_walk(client, entry.nodeid, "g", &node), 0);
	ck_assert_int_eq(fc_mkdir(client, entry.nodeid, "d", 0700), EROFS);
	ck_assert_int_eq(fc_mkdir(client, ROOT, "d", 0700), 0);
	/* From then on there are no more. */
	files_client_begin(files);
	ck_assert_int_eq(files_client_add(files, 5, &share, FUSED_LOOSE), -EBUSY);
	ck_assert_int_eq(fc_walk(client, entry.nodeid, "g", &node), 0);
	ck_assert_int_eq(fc_mkdir(client, ROOT, "e", 0700), 0);
	ck_assert_uint_eq(told.died, 0);
	files_share_close(&share);
	end_files();
	unlink(path);
	rmdir(other);
}
END_TEST

START_TEST(what_is_made_is_limited)
{
	struct files_client_config config = {
		.ops = &told_ops, .bytes_max = 1 << 20, .files_max = 2};
	struct err err = {""};

	begin_host(NULL, false);
	ck_assert_int_eq(files_client_create(&files, loop, &config, &err), 0);
	ck_assert_int_eq(files_client_add(files, 0, &host.share, FUSED_STRICT), 0);
	greet();
	ck_assert_int_eq(fc_mkdir(client, ROOT, "a", 0700), 0);
	ck_assert_int_eq(fc_mkdir(client, ROOT, "b", 0700), 0);
	ck_assert_int_eq(fc_mkdir(client, ROOT, "c", 0700), ENOSPC);
	ck_assert_int_eq(files_client_limit(files, 1 << 20, 3), 0);
	ck_assert_int_eq(fc_mkdir(client, ROOT, "c", 0700), 0);
	ck_assert_int_eq(fc_mkdir(client, ROOT, "d", 0700), ENOSPC);
	end_files();
}
END_TEST

/* --- slots ------------------------------------------------------------------------------------ */

START_TEST(slots_are_bounded)
{
	unsigned count = 0, lane, i;
	int slot[FILES_SLOTS];
	void *buffer;

	begin_files(NULL, false);
	/* One lane takes all that it may, and then each other one, none of which finds nothing. */
	for (lane = 1; lane != 0; lane = (lane + 1) % FILES_LANES)
		for (i = 0; (slot[count] = files_client_take(files, lane, &buffer)) >= 0; i++) {
			ck_assert_int_eq(slot[count], (int)count);
			memset(buffer, 0, FILES_REQUEST_MAX);
			count++;
			ck_assert_uint_lt(i, lane == 1 ? 1 + FILES_SLOTS_SHARED / 2 + 1
						       : FILES_SLOTS_SHARED / 2);
		}
	ck_assert_uint_eq(count, FILES_LANES - 1 + FILES_SLOTS_SHARED);
	run(5);
	ck_assert_uint_eq(told.room, 0);
	/* Lane 1 has more than others that want one, so one of these takes what it gives back. */
	ck_assert_int_ge(files_client_take(files, 0, &buffer), 0);
	files_client_release(files, (unsigned)slot[0]);
	run(5);
	ck_assert_uint_eq(told.room, 1);
	ck_assert_int_eq(files_client_take(files, 1, &buffer), -EAGAIN);
	ck_assert_int_eq(files_client_take(files, 7, &buffer), 0);
	/* No room for those that wait for it. */
	files_client_release(files, (unsigned)slot[1]);
	ck_assert_int_eq(files_client_take(files, 8, &buffer), 1);
	run(5);
	ck_assert_uint_eq(told.room, 1);
	end_files();
}
END_TEST

START_TEST(lanes_of_requests)
{
	static const struct {
		uint32_t opcode;
		uint64_t node;
		const char *name;
		unsigned lane;
	} requests[] = {
		{FUSE_LOOKUP, FUSE_ROOT_ID, "0", 1},
		{FUSE_LOOKUP, FUSE_ROOT_ID, "1", 0},
		{FUSE_LOOKUP, FUSE_ROOT_ID, "64", 0},
		{FUSE_LOOKUP, FUSE_ROOT_ID, "9999", 0},
		{FUSE_LOOKUP, FUSE_ROOT_ID, "", 0},
		{FUSE_LOOKUP, UINT64_C(1) << 56, "x", 1},
		{FUSE_LOOKUP, UINT64_C(2) << 56, "x", 0},
		{FUSE_LOOKUP, UINT64_C(255) << 56, "x", 0},
		{FUSE_GETATTR, UINT64_C(1) << 56, "", 1},
		{FUSE_GETATTR, FUSE_ROOT_ID, "0", 0},
		{FUSE_FORGET, UINT64_C(1) << 56, "", 0},
		{FUSE_BATCH_FORGET, UINT64_C(1) << 56, "", 0},
		{FUSE_INTERRUPT, UINT64_C(1) << 56, "", 0},
		{FUSE_SYNCFS, FUSE_ROOT_ID, "", FILES_LANE_ALL},
		{FUSE_DESTROY, 0, "", FILES_LANE_ALL},
		{FUSE_INIT, 0, "", FILES_LANE_ALL},
	};
	struct {
		struct fuse_in_header head;
		char name[8];
	} request;
	unsigned i;

	begin_files(NULL, false);
	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		memset(&request, 0, sizeof(request));
		request.head.opcode = requests[i].opcode;
		request.head.nodeid = requests[i].node;
		strcpy(request.name, requests[i].name);
		ck_assert_uint_eq(files_client_lane(files, &request, FILES_LANE_BYTES),
				  requests[i].lane);
		ck_assert_uint_eq(files_client_lane(files, &request, sizeof(request.head) - 1), 0);
	}
	end_files();
}
END_TEST

/* A request without waiting for it: the loop finishes all of them. */
START_TEST(the_loop_finishes_the_rest)
{
	struct fuse_in_header head = {
		.len = sizeof(head), .opcode = FUSE_STATFS, .nodeid = FUSE_ROOT_ID};
	unsigned slot[16], i, prompt = 0;
	struct fuse_out_header out;
	const void *reply;
	size_t length;

	begin_files(NULL, false);
	told.dones = 0;
	for (i = 0; i < ARRAY_SIZE(slot); i++) {
		head.unique = i + 1;
		slot[i] = post(&head, sizeof(head), 4096);
		if (files_client_wait(files, slot[i], 0, &reply, &length))
			told.done[slot[i]] = true, prompt++;
	}
	for (i = 0; i < 2000 && told.dones + prompt < ARRAY_SIZE(slot); i++)
		run(5);
	ck_assert_uint_eq(told.dones + prompt, ARRAY_SIZE(slot));
	for (i = 0; i < ARRAY_SIZE(slot); i++) {
		files_client_reply(files, slot[i], &reply, &length);
		ck_assert_uint_eq(length, sizeof(out) + sizeof(struct fuse_statfs_out));
		memcpy(&out, reply, sizeof(out));
		ck_assert_uint_eq(out.unique, i + 1);
		ck_assert_int_eq(out.error, 0);
	}
	end_files();
}
END_TEST

/* --- snapshots -------------------------------------------------------------------------------- */

START_TEST(a_session_is_saved_and_restored)
{
	struct pack saved = {.limit = FILES_SAVED_MAX};
	struct fuse_open_out open;
	struct unpack from;
	uint64_t node;
	size_t n;

	begin_files(NULL, false);
	host_write(&host, "f", "hello");
	node = node_of("f");
	ck_assert_int_eq(fc_open(client, node, O_RDONLY, &open), 0);
	ck_assert_int_eq(files_client_save(files, &saved), 0);
	/* It goes on. */
	ck_assert_int_eq(fc_read(client, node, open.fh, 0, 100, text, &n), 0);
	end_server();
	begin_server();
	ck_assert_int_eq(files_client_add(files, 0, &host.share, FUSED_STRICT), 0);
	from = (struct unpack){.data = saved.data, .length = saved.length};
	ck_assert_int_eq(files_client_restore(files, &from), 0);
	ck_assert(unpack_done(&from));
	files_client_begin(files);
	/* The numbers are the same. */
	ck_assert_int_eq(fc_read(client, node, open.fh, 0, 100, text, &n), 0);
	ck_assert_uint_eq(n, 5);
	ck_assert_int_eq(fc_mkdir(client, ROOT, "d", 0755), 0);
	end_server();
	/* Forged ones are refused, and leave the process as it is. */
	begin_server();
	ck_assert_int_eq(files_client_add(files, 0, &host.share, FUSED_STRICT), 0);
	memset(saved.data + 4, 0xff, 16);
	from = (struct unpack){.data = saved.data, .length = saved.length};
	ck_assert_int_eq(files_client_restore(files, &from), -EINVAL);
	from = (struct unpack){.data = saved.data, .length = saved.length - 1};
	ck_assert_int_eq(files_client_restore(files, &from), -EINVAL);
	ck_assert_uint_eq(told.died, 0);
	pack_free(&saved);
	end_files();
}
END_TEST

START_TEST(a_held_server_begins_nothing)
{
	const struct fuse_in_header head = {
		.len = sizeof(head), .opcode = FUSE_STATFS, .nodeid = FUSE_ROOT_ID, .unique = 9};
	struct pack saved = {.limit = 1 << 20};
	const void *reply;
	size_t length;
	unsigned slot;

	begin_files(NULL, false);
	files_client_hold(files, true);
	slot = post(&head, sizeof(head), 4096);
	ck_assert(!files_client_wait(files, slot, 100000, &reply, &length));
	run(50);
	ck_assert_uint_eq(told.done[slot], 0);
	/* It can be saved, and stays held. */
	ck_assert_int_eq(files_client_save(files, &saved), 0);
	run(50);
	ck_assert_uint_eq(told.done[slot], 0);
	files_client_hold(files, false);
	told.dones = 0;
	run_until(&told.dones);
	ck_assert_uint_eq(told.done[slot], 1);
	files_client_release(files, slot);
	pack_free(&saved);
	end_files();
}
END_TEST

/* --- locks ------------------------------------------------------------------------------------ */

static size_t lock_message(uint8_t *to, uint64_t node, uint64_t fh, uint64_t owner, int type,
			   uint64_t unique)
{
	const struct fuse_in_header head = {.len = sizeof(head) + sizeof(struct fuse_lk_in),
					    .opcode = FUSE_SETLKW,
					    .unique = unique,
					    .nodeid = node,
					    .pid = 1};
	const struct fuse_lk_in in = {.fh = fh,
				      .owner = owner,
				      .lk = {.end = INT64_MAX, .type = (uint32_t)type, .pid = 1}};

	memcpy(to, &head, sizeof(head));
	memcpy(to + sizeof(head), &in, sizeof(in));
	return head.len;
}

static unsigned post_lock(uint64_t node, uint64_t fh, uint64_t owner, uint64_t unique)
{
	uint8_t message[256];
	size_t length = lock_message(message, node, fh, owner, F_WRLCK, unique);
	unsigned slot = post(message, length, 4096);
	const void *reply;

	told.done[slot] = false;
	if (files_client_wait(files, slot, 0, &reply, &length))
		told.done[slot] = true;
	return slot;
}

static void wait_until_it_waits(unsigned slot)
{
	unsigned i;

	for (i = 0; i < 2000 && !files_client_waits(files, slot); i++)
		run(5);
	ck_assert(files_client_waits(files, slot));
}

START_TEST(locks_wait)
{
	struct fuse_out_header out;
	struct fuse_open_out open;
	unsigned slot, more[FILES_SLOTS], i, refused = 0;
	const void *reply;
	uint64_t node;
	size_t length;

	begin_files(NULL, false);
	host_write(&host, "f", "hello");
	node = node_of("f");
	ck_assert_int_eq(fc_open(client, node, O_RDWR, &open), 0);
	ck_assert_int_eq(fc_lock(client, FUSE_SETLK, node, open.fh, 1, F_WRLCK, 0, INT64_MAX, 0),
			 0);
	slot = post_lock(node, open.fh, 2, 1000);
	wait_until_it_waits(slot);
	/* Other requests go on. */
	ck_assert_int_eq(fc_mkdir(client, ROOT, "d", 0755), 0);
	ck_assert_int_eq(fc_lock(client, FUSE_SETLK, node, open.fh, 1, F_UNLCK, 0, INT64_MAX, 0),
			 0);
	for (i = 0; i < 2000 && !(told.done[slot]); i++)
		run(5);
	files_client_reply(files, slot, &reply, &length);
	ck_assert_uint_eq(length, sizeof(out));
	memcpy(&out, reply, sizeof(out));
	ck_assert_int_eq(out.error, 0);
	ck_assert_uint_eq(out.unique, 1000);
	ck_assert(!files_client_waits(files, slot));
	files_client_release(files, slot);
	/* So many that the last ones are refused, and the unlock has a slot. */
	for (i = 0; i < FILES_WAITING_MAX + 3; i++) {
		more[i] = post_lock(node, open.fh, 10 + i, 2000 + i);
		if (i < FILES_WAITING_MAX)
			wait_until_it_waits(more[i]);
	}
	for (i = FILES_WAITING_MAX; i < FILES_WAITING_MAX + 3; i++) {
		while (!(told.done[more[i]]))
			run(5);
		files_client_reply(files, more[i], &reply, &length);
		memcpy(&out, reply, sizeof(out));
		refused += out.error == -ENOLCK && out.unique == 2000 + i;
	}
	ck_assert_uint_eq(refused, 3);
	ck_assert_int_eq(fc_lock(client, FUSE_SETLK, node, open.fh, 2, F_UNLCK, 0, INT64_MAX, 0),
			 0);
	while (!(told.done[more[0]]))
		run(5);
	ck_assert(files_client_waits(files, more[1]));
	ck_assert_uint_eq(told.died, 0);
	end_files();
}
END_TEST

/* A process of the host has it locked, which the server looks at again and again. */
START_TEST(a_lock_waits_for_the_host)
{
	struct flock lock = {.l_type = F_WRLCK};
	struct fuse_open_out opened;
	unsigned slot;
	uint64_t node;
	int fd;

	begin_files(NULL, false);
	host_write(&host, "f", "hello");
	fd = open(host_path(&host, "f"), O_RDWR | O_CLOEXEC);
	ck_assert_int_eq(fcntl(fd, F_OFD_SETLK, &lock), 0);
	node = node_of("f");
	ck_assert_int_eq(fc_open(client, node, O_RDWR, &opened), 0);
	slot = post_lock(node, opened.fh, 2, 1000);
	wait_until_it_waits(slot);
	run(200);
	ck_assert_uint_eq(told.done[slot], 0);
	close(fd);
	while (!(told.done[slot]))
		run(5);
	end_files();
}
END_TEST

UNIT_MAIN("files_client", files_are_served, large_messages_fit, several_roots,
	  what_is_made_is_limited, slots_are_bounded, lanes_of_requests, the_loop_finishes_the_rest,
	  a_session_is_saved_and_restored, a_held_server_begins_nothing, locks_wait,
	  a_lock_waits_for_the_host)
