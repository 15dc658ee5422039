/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/files_client_common.h"

#include "vmm/files/server.h"

struct files_host host;
struct fuse_client *const client = &host.client;
struct files_client *files;
struct files_told told;
struct loop *loop;

int unit_file_server(void)
{
	return files_server_main(FILES_SERVER_FD);
}

static void on_done(void *arg, unsigned slot)
{
	(void)arg;
	told.done[slot] = true;
	told.dones++;
	loop_stop(loop);
}

static void on_room(void *arg)
{
	(void)arg;
	told.room++;
	loop_stop(loop);
}

static void on_died(void *arg, const char *why)
{
	(void)arg;
	told.died++;
	snprintf(told.why, sizeof(told.why), "%s", why);
	loop_stop(loop);
}

const struct files_client_ops told_ops = {.done = on_done, .room = on_room, .died = on_died};

static void stop(void *arg)
{
	loop_stop(arg);
}

void run(unsigned ms)
{
	struct loop_timer timer = {.expired = stop, .arg = loop};

	loop_timer_start(loop, &timer, ms * UINT64_C(1000000));
	ck_assert_int_eq(loop_run(loop), 0);
	loop_timer_stop(loop, &timer);
}

void run_until(const unsigned *count)
{
	unsigned i;

	for (i = 0; i < 20000 && *count == 0; i++)
		run(5);
	ck_assert_uint_ne(*count, 0);
}

unsigned post(const void *bytes, size_t length, size_t room)
{
	void *buffer;
	int slot = files_client_take(files, files_client_lane(files, bytes, length), &buffer);

	ck_assert_int_ge(slot, 0);
	memcpy(buffer, bytes, min_u64(length, FILES_REQUEST_MAX));
	told.done[slot] = false;
	files_client_send(files, (unsigned)slot, length, room);
	return (unsigned)slot;
}

ssize_t finish_left(unsigned slot, void *out, size_t room)
{
	const void *reply;
	size_t length;
	unsigned i;

	for (i = 0; i < 20000 && !(told.done[slot]); i++) {
		if (files_client_waits(files, slot))
			return FUSED_LATER;
		run(5);
	}
	ck_assert(told.done[slot]);
	files_client_reply(files, slot, &reply, &length);
	ck_assert_uint_le(length, room);
	memcpy(out, reply, length);
	files_client_release(files, slot);
	return (ssize_t)length;
}

ssize_t finish(unsigned slot, void *out, size_t room)
{
	const void *reply;
	size_t length;

	if (!files_client_wait(files, slot, 100000, &reply, &length))
		return finish_left(slot, out, room);
	ck_assert_uint_le(length, room);
	memcpy(out, reply, length);
	files_client_release(files, slot);
	return (ssize_t)length;
}

static ssize_t handle(void *arg, const void *in, size_t length, void *out, size_t room)
{
	(void)arg;
	return finish(post(in, length, room), out, room);
}

void begin_host(const char *policy, bool read_only)
{
	memset(&told, 0, sizeof(told));
	files_host_begin_share(&host, policy, read_only);
	client->handle = handle;
	ck_assert_int_eq(loop_create(&loop), 0);
}

void begin_server(void)
{
	const struct files_client_config config = {.guard = host.guard, .ops = &told_ops};
	struct err err = {""};

	ck_assert_msg(files_client_create(&files, loop, &config, &err) == 0, "%s", err.text);
}

void greet(void)
{
	struct fuse_entry_out entry;
	struct fuse_init_out init;

	ck_assert_int_eq(fc_init(client, UINT64_MAX, &init), 0);
	ck_assert_uint_eq(init.max_write, FILES_REQUEST_MAX - 4096);
	ck_assert_int_eq(fc_lookup(client, FUSE_ROOT_ID, "0", &entry), 0);
	client->root = entry.nodeid;
}

void begin_files(const char *policy, bool read_only)
{
	begin_host(policy, read_only);
	begin_server();
	ck_assert_int_eq(files_client_add(files, 0, &host.share, FUSED_STRICT), 0);
	files_client_begin(files);
	greet();
}

void end_server(void)
{
	files_client_destroy(files);
	files = NULL;
}

void end_files(void)
{
	end_server();
	loop_destroy(loop);
	files_host_end(&host);
}

unsigned open_fds(void)
{
	unsigned count = 0;
	int fd;

	for (fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

uint64_t node_of(const char *path)
{
	uint64_t node;

	ck_assert_int_eq(fc_go(client, path, &node), 0);
	return node;
}
