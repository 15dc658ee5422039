/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The race for a path, through the device and the server's process: a vCPU's thread walks into a
 * directory again and again while the host, or another vCPU by another share of the same directory,
 * exchanges it for a link that leads out. In each round it tries one of the ways in which that
 * could lead it astray.
 *
 * CORDON_TEST_RACE_ROUNDS is the number of rounds of each test (2,000); they go on until the
 * control, which checks a name and then uses it, has lost.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "devices/fs/fs.h"
#include "tests/support/fake_guest.h"
#include "tests/support/files_attacks.h"
#include "tests/support/unit.h"
#include "vmm/files/client.h"
#include "vmm/files/server.h"

#define ROUNDS	2000
#define VCPUS	2
#define ROOM	16384u /* for a request, and for its reply */
#define CONTROL 16     /* rounds for one of the control's */

struct vcpu {
	unsigned queue;
	uint64_t in, out;
	struct fuse_client client;
};

static struct files_host host;
static struct fake_guest guest;
static struct loop *loop;
static struct fs *fs;
static struct files_client *files;
static pthread_t loop_thread, mover;
static struct vcpu vcpu[VCPUS];
static atomic_bool stop;
static atomic_uint died, moves;
static unsigned inside, outside;

/* --- between device and server, as in vmm/sandbox/shares_server.c ------------------------------
 */

static const struct fs_server_ops server_ops = {
	.lane = files_client_lane,
	.take = files_client_take,
	.send = files_client_send,
	.wait = files_client_wait,
	.reply = files_client_reply,
	.release = files_client_release,
	.waits = files_client_waits,
};

static void on_done(void *arg, unsigned slot)
{
	(void)arg;
	fs_done(fs, slot);
}

static void on_room(void *arg)
{
	(void)arg;
	fs_room(fs);
}

static void on_died(void *arg, const char *why)
{
	(void)arg;
	fprintf(stderr, "the server died: %s\n", why);
	atomic_fetch_add(&died, 1);
}

static const struct files_client_ops client_ops = {
	.done = on_done, .room = on_room, .died = on_died};

static void *run_loop(void *arg)
{
	(void)arg;
	loop_run(loop);
	return NULL;
}

/* --- a vCPU ----------------------------------------------------------------------------------- */

/* A message of the FUSE client: one request in the vCPU's queue. */
static ssize_t handle(void *arg, const void *in, size_t length, void *out, size_t room)
{
	struct vcpu *it = arg;
	struct fake_queue *queue = &guest.queue[it->queue];
	const uint8_t *reply = fake_guest_at(&guest, it->out);
	uint16_t *index = (uint16_t *)(void *)(queue->avail + 2);
	size_t n;

	ck_assert_uint_le(length, ROOM);
	memcpy(fake_guest_at(&guest, it->in), in, length);
	fake_queue_set(queue, 0, it->in, (uint32_t)length, FAKE_DESC_NEXT, 1);
	fake_queue_set(queue, 1, it->out, ROOM, FAKE_DESC_WRITE, 0);
	store_le16(queue->avail + 4 + 2 * (queue->avail_index % queue->size), 0);
	queue->avail_index++;
	__atomic_store_n(index, htole16(queue->avail_index), __ATOMIC_RELEASE);
	fake_write_as_vcpu(&guest, loop, FAKE_REG_QUEUE_NOTIFY, it->queue);
	while (fake_queue_used_index(queue) == queue->used_index)
		sched_yield();
	queue->used_index++;
	n = min_u64(load_le32(reply), min_u64(room, ROOM));
	memcpy(out, reply, n);
	return (ssize_t)n;
}

static void begin_vcpu(struct vcpu *it, unsigned queue, const char *root)
{
	struct fuse_entry_out entry;
	struct fuse_init_out init;

	it->queue = queue;
	it->in = fake_guest_alloc(&guest, ROOM, 4096);
	it->out = fake_guest_alloc(&guest, ROOM, 4096);
	memset(&it->client, 0, sizeof(it->client));
	it->client.handle = handle;
	it->client.arg = it;
	/* Requests of all queues have numbers of their own. */
	it->client.unique = (uint64_t)queue << 48;
	if (queue == 1)
		ck_assert_int_eq(fc_init(&it->client, UINT64_MAX, &init), 0);
	ck_assert_int_eq(fc_lookup(&it->client, FUSE_ROOT_ID, root, &entry), 0);
	it->client.root = entry.nodeid;
}

/* The directory is shared twice, so that two of the server's threads have to do with it. */
static void begin(void)
{
	const struct files_client_config config = {.ops = &client_ops};
	struct err err = {""};

	inside = outside = 0;
	atomic_store(&stop, false);
	files_host_begin_share(&host, NULL, false);
	ck_assert_int_eq(loop_create(&loop), 0);
	ck_assert_int_eq(fs_create(&fs, loop, VCPUS), 0);
	fake_guest_init(&guest, MIB(4));
	fake_guest_attach(&guest, fs_device(fs));
	ck_assert(fake_guest_bring_up(&guest, 0));
	ck_assert_msg(files_client_create(&files, loop, &config, &err) == 0, "%s", err.text);
	ck_assert_int_eq(files_client_add(files, 0, &host.share, FUSED_STRICT), 0);
	ck_assert_int_eq(files_client_add(files, 1, &host.share, FUSED_STRICT), 0);
	files_client_begin(files);
	fs_set_server(fs, &server_ops, files);
	ck_assert_int_eq(pthread_create(&loop_thread, NULL, run_loop, NULL), 0);
	begin_vcpu(&vcpu[0], 1, "0");
	begin_vcpu(&vcpu[1], 2, "1");
}

static void end(void)
{
	loop_stop(loop);
	pthread_join(loop_thread, NULL);
	ck_assert_uint_eq(atomic_load(&died), 0);
	fs_set_server(fs, NULL, NULL);
	files_client_destroy(files);
	fs_destroy(fs);
	loop_destroy(loop);
	fake_guest_destroy(&guest);
	ck_assert(files_outside_is_untouched(&host));
	files_host_end(&host);
}

/* --- the ways --------------------------------------------------------------------------------- */

static struct fuse_client *const client = &vcpu[0].client;

static void look_in(const char *path)
{
	char text[64];

	fc_cat(client, path, text, sizeof(text));
	inside += strcmp(text, "inside") == 0;
	outside += strcmp(text, "outside") == 0;
}

static void list(uint64_t d)
{
	char names[512];
	unsigned told;
	uint64_t fh;

	if (fc_opendir(client, d, &fh) != 0)
		return;
	names[0] = '\0';
	fc_list(client, d, fh, 4096, names, sizeof(names), &told);
	outside += strstr(names, "share\n") != NULL;
	fc_release(client, d, fh);
}

static void change(uint64_t d)
{
	uint64_t node;

	if (fc_walk(client, d, "secret", &node) != 0)
		return;
	fc_setattr(client, node, FATTR_MODE, 0777, 0);
	if (fc_link(client, client->root, "linked", node) == 0)
		look_in("linked");
	fc_unlink(client, client->root, "linked");
}

static void attempt(unsigned round)
{
	uint64_t d, node, fh;
	char name[32];

	snprintf(name, sizeof(name), "made-%u", round % 8);
	if (round % 4 > 0) {
		look_in("d/secret");
		return;
	}
	if (fc_go(client, "d", &d) != 0)
		return;
	switch (round / 4 % 6) {
	case 0:
		fc_mkdir(client, d, name, 0755);
		fc_rmdir(client, d, name);
		break;
	case 1:
		fc_symlink(client, d, name, "x");
		fc_rename(client, d, name, client->root, name, 0);
		fc_unlink(client, client->root, name);
		fc_unlink(client, d, name);
		break;
	case 2:
		if (fc_rename(client, d, "secret", client->root, "taken", 0) == 0)
			look_in("taken");
		fc_rename(client, client->root, "taken", d, "secret", 0);
		break;
	case 3:
		list(d);
		break;
	case 4:
		change(d);
		break;
	default:
		if (fc_create(client, d, name, O_RDWR, 0644, &node, &fh) == 0)
			fc_release(client, node, fh);
		fc_unlink(client, d, name);
		break;
	}
}

static void race(const char *what)
{
	const char *text = getenv("CORDON_TEST_RACE_ROUNDS");
	unsigned rounds = text ? (unsigned)strtoul(text, NULL, 10) : ROUNDS;
	unsigned round, lost = 0, tried = 0;

	for (round = 0; (round < rounds || lost == 0) && atomic_load(&died) == 0; round++) {
		if (round % CONTROL == 0) {
			lost += files_exchange_control_loses(&host);
			tried++;
		}
		attempt(round);
		ck_assert_uint_eq(outside, 0);
	}
	/* The twin: often enough the directory was at its place. */
	ck_assert_uint_gt(inside, 0);
	ck_assert_uint_gt(lost, 0);
	if (text)
		printf("%s: %u rounds, inside %u times, outside %u; the control lost %u of %u\n",
		       what, round, inside, outside, lost, tried);
}

START_TEST(a_host_that_exchanges_a_directory_for_a_link)
{
	begin();
	files_exchange_begin(&host);
	race("host");
	files_exchange_end();
	end();
}
END_TEST

/* The other vCPU. */
static void *exchange(void *arg)
{
	struct fuse_client *other = arg;

	while (!atomic_load(&stop))
		if (fc_rename(other, other->root, "d", other->root, "decoy", RENAME_EXCHANGE) == 0)
			atomic_fetch_add(&moves, 1);
	return NULL;
}

START_TEST(a_guest_that_exchanges_a_directory_for_a_link)
{
	struct fuse_client *other = &vcpu[1].client;

	begin();
	files_exchange_place(&host);
	ck_assert_int_eq(pthread_create(&mover, NULL, exchange, other), 0);
	race("guest");
	atomic_store(&stop, true);
	pthread_join(mover, NULL);
	ck_assert_uint_gt(atomic_load(&moves), 0);
	end();
}
END_TEST

int main(int argc, char **argv)
{
	const TTest *const tests[] = {a_host_that_exchanges_a_directory_for_a_link,
				      a_guest_that_exchanges_a_directory_for_a_link};

	if (argc > 0 && unit_is_file_server(argv[0]))
		return files_server_main(FILES_SERVER_FD);
	return unit_run("fs_race", NULL, tests, ARRAY_SIZE(tests));
}
