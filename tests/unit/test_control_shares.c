/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control protocol's requests `share` and `unshare`, with real file servers and a guest whose
 * agent is made of bytes: it replies late, wrongly or never.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/agent_channel_common.h"
#include "tests/unit/files_client_common.h"
#include "vmm/control/monitor.h"
#include "vmm/files/client_internal.h"
#include "vmm/machine/snapshot_format.h"

static struct monitor monitor;
static struct shares *const shares = &monitor.session.sandbox.shares;
static struct client peer;
static struct fake *fake;
static char directory[] = "/tmp/cordon-test-shares.XXXXXX";
static int peer_fd;

static void died(void *arg, const char *why)
{
	(void)arg;
	ck_abort_msg("the server has died: %s", why);
}

/* As much of a monitor as the requests reach. The device has no driver, so nothing is under way. */
static void begin(void)
{
	static const struct monitor_config config = {.name = "box", .lock_fd = -1};
	const struct policy_source source = {
		.name = "test", .directory = "/", .cwd = "/", .home = "/root"};
	struct policy *policy;
	struct err err = {""};
	int fd[2];

	ck_assert_ptr_nonnull(mkdtemp(directory));
	fake = fake_create();
	monitor = (struct monitor){.config = &config};
	monitor.session.loop = fake->host.loop;
	monitor.session.sandbox.machine.channel = fake->host.channel;
	monitor.session.sandbox.config.machine.agent = true;
	monitor.session.sandbox.is_ready = true;
	ck_assert_int_eq(policy_parse(&policy, "policy 1\n", 9, &source, &err), 0);
	ck_assert_int_eq(guard_create(&monitor.session.guard, policy, NULL), 0);
	shares->loop = fake->host.loop;
	shares->guard = monitor.session.guard;
	shares->died = died;
	ck_assert_int_eq(fs_create(&shares->fs, fake->host.loop, 1), 0);
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fd),
			 0);
	ck_assert_int_eq(monitor_start_launcher(&monitor, &err), 0);
	shares->launcher = monitor.session.launcher;
	peer = (struct client){.monitor = &monitor, .fd = fd[0]};
	peer_fd = fd[1];
	put_hello(fake, AGENT_VERSION_MAJOR, AGENT_VERSION_MINOR);
	agent_put32(fake->in + AGENT_HEADER_SIZE + AGENT_HELLO_AT_FEATURES, UINT32_MAX);
	agent_channel_readable(fake->host.channel);
	fake->out_length = 0;
}

static void end(void)
{
	struct fs *fs = shares->fs;

	requests_shares_end(&monitor);
	shares_close(shares);
	fs_destroy(fs);
	while (monitor.share.added_count > 0)
		free(monitor.share.added[--monitor.share.added_count].host);
	launcher_destroy(monitor.session.launcher);
	json_decref(monitor.planted);
	guard_destroy(monitor.session.guard);
	close(peer.fd);
	close(peer_fd);
	fake_destroy(fake);
	ck_assert_int_eq(rmdir(directory), 0);
	strcpy(strrchr(directory, '.'), ".XXXXXX");
}

static void share_as(const char *guest, bool read_only)
{
	struct message message = {.body = json_pack("{s:s,s:i,s:s,s:s,s:b}", "op", "share", "id", 1,
						    "guest", guest, "host", directory, "ro",
						    (int)read_only),
				  .fds = 1};

	message.fd[0] = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	request_handle(&peer, &message);
	message_clear(&message);
}

static void share(const char *guest)
{
	share_as(guest, false);
}

static void take_back(const char *guest)
{
	struct message message = {
		.body = json_pack("{s:s,s:i,s:s}", "op", "unshare", "id", 1, "guest", guest)};

	request_handle(&peer, &message);
	message_clear(&message);
}

/* The number of the last MOUNT since the last one; 0: none. */
static uint32_t mount_request(void)
{
	struct agent_header header;
	uint32_t number = 0;
	size_t at;

	for (at = 0; at < fake->out_length; at += AGENT_HEADER_SIZE + header.length) {
		header = agent_get_header(fake->out + at);
		if (header.type == AGENT_MOUNT)
			number = header.id;
	}
	return number;
}

static void stop(void *arg)
{
	loop_stop(arg);
}

static void turn(void)
{
	struct loop_timer timer = {.expired = stop, .arg = fake->host.loop};

	loop_timer_start(fake->host.loop, &timer, 1000000);
	ck_assert_int_eq(loop_run(fake->host.loop), 0);
	loop_timer_stop(fake->host.loop, &timer);
}

static uint32_t wait_for_mount(void)
{
	uint32_t number;

	while ((number = mount_request()) == 0)
		turn();
	fake->out_length = 0;
	return number;
}

static void reply_to(uint32_t number, uint32_t error)
{
	fake->in_at = fake->in_length = 0;
	put32(fake, AGENT_RESULT, number, error);
	agent_channel_readable(fake->host.channel);
}

/* The time of a request to the agent is over. */
static void be_late(void)
{
	ck_assert(monitor.share.timer.armed);
	loop_timer_stop(fake->host.loop, &monitor.share.timer);
	monitor.share.timer.expired(monitor.share.timer.arg);
}

/* Waits for the reply: why NULL: it is a success; otherwise its error has this text. */
static void expect(const char *why)
{
	struct message message;
	const char *error;
	struct err err;
	int ret;

	while ((ret = message_receive(peer_fd, &message, MSG_DONTWAIT, &err)) == -EAGAIN)
		turn();
	ck_assert_int_eq(ret, 1);
	error = json_string_value(json_object_get(message.body, "error"));
	ck_assert_msg(why ? error && strstr(error, why) : !error, "%s", error ? error : "no error");
	message_clear(&message);
	ck_assert(!monitor.share.active);
}

static void count(void *arg, const struct policy *policy)
{
	*(size_t *)arg = policy_share_count(policy);
}

static size_t in_policy(void)
{
	size_t shares_of_policy = 0;

	guard_with_policy(monitor.session.guard, count, &shares_of_policy);
	return shares_of_policy;
}

static void add(const char *guest)
{
	share(guest);
	reply_to(wait_for_mount(), 0);
	expect(NULL);
}

START_TEST(a_share_comes_and_goes)
{
	begin();
	add("/a");
	ck_assert_uint_eq(shares->count, 1);
	ck_assert_uint_eq(in_policy(), 1);
	take_back("/a");
	reply_to(wait_for_mount(), 0);
	expect(NULL);
	ck_assert_uint_eq(shares->count, 0);
	ck_assert_uint_eq(in_policy(), 0);
	end();
}
END_TEST

/* Otherwise a guest could keep what it has by owing one reply. */
START_TEST(an_agent_that_never_replies_keeps_no_share)
{
	uint32_t owed;

	begin();
	add("/a");
	add("/b");
	share("/c");
	owed = wait_for_mount();
	be_late();
	expect("could not mount it at /c");
	ck_assert_uint_eq(in_policy(), 2);
	share("/c");
	expect("has not replied to an earlier request");
	take_back("/a");
	expect("/a is taken back, but the guest has not unmounted it");
	ck_assert_uint_eq(mount_request(), 0);
	ck_assert_ptr_null(shares_find(shares, "/a"));
	ck_assert_uint_eq(in_policy(), 1);
	/* What comes late ends no other request, and then all is as before. */
	reply_to(owed, 0);
	take_back("/b");
	reply_to(wait_for_mount(), 0);
	expect(NULL);
	add("/c");
	ck_assert_uint_eq(in_policy(), 1);
	end();
}
END_TEST

/* With "/" at the end: a directory. */
static void plant(const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	if (strchr(name, '/')) {
		ck_assert_int_eq(mkdir(path, 0700), 0);
		return;
	}
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, "ref: refs/heads/a\n", 18), 18);
	close(fd);
}

static int clean(void)
{
	char command[256];

	snprintf(command, sizeof(command), "cd %s && rm -r HEAD objects refs", directory);
	return system(command);
}

/* The guest could write there before its agent said that it did not mount the share. */
START_TEST(what_was_served_is_searched_at_the_end)
{
	begin();
	share_as("/ro", true);
	reply_to(wait_for_mount(), EIO);
	expect("could not mount it");
	ck_assert_uint_eq(monitor.share.added_count, 0);
	share("/a");
	reply_to(wait_for_mount(), EIO);
	expect("could not mount it");
	ck_assert_uint_eq(shares->count, 0);
	ck_assert_uint_eq(in_policy(), 0);
	ck_assert_uint_eq(monitor.share.added_count, 1);
	plant("HEAD");
	plant("objects/");
	plant("refs/");
	monitor_search_shares(&monitor);
	ck_assert_uint_eq(json_array_size(monitor.planted), 1);
	ck_assert_ptr_nonnull(
		strstr(json_string_value(json_array_get(monitor.planted, 0)), directory));
	ck_assert_uint_eq(monitor.share.added_count, 0);
	ck_assert_int_eq(clean(), 0);
	end();
}
END_TEST

/* A sandbox has 64 numbers: attempts that no server ever knew of use up none. */
START_TEST(what_is_refused_takes_no_number)
{
	unsigned i;

	begin();
	for (i = 0; i <= FILES_SHARES_MAX; i++) {
		share("/proc/x");
		expect("the guest itself needs that path");
	}
	add("/a");
	ck_assert_uint_eq(shares->link[0]->number, 0);
	/* One that the guest may have seen does. */
	share("/b");
	reply_to(wait_for_mount(), EIO);
	expect("could not mount it");
	add("/b");
	ck_assert_uint_eq(shares->link[1]->number, 2);
	end();
}
END_TEST

/* A guest whose requests do not end keeps the server, but not what the server allows. */
START_TEST(a_share_that_stays_is_denied)
{
	begin();
	add("/a");
	take_back("/a");
	strcpy(shares->change.failure, "busy");
	expect("the policy denies /a from now on, but it is not taken back: busy");
	ck_assert_ptr_nonnull(shares_find(shares, "/a"));
	ck_assert_uint_eq(in_policy(), 0);
	share("/a");
	expect("is a share already");
	take_back("/a");
	reply_to(wait_for_mount(), 0);
	expect(NULL);
	ck_assert_uint_eq(shares->count, 0);
	add("/a");
	end();
}
END_TEST

/* The launcher has started it beside the present one: this process starts none. */
static pid_t next_server(void)
{
	int pid = launcher_pid(monitor.session.launcher), server[3], count;
	char path[64];
	FILE *file;

	ck_assert_int_eq(shares->client->pid + shares->change.next->pid, 0);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	do {
		file = fopen(path, "r");
		ck_assert_ptr_nonnull(file);
		count = fscanf(file, "%d %d %d", &server[0], &server[1], &server[2]);
		fclose(file);
	} while (count != 2);
	return server[1];
}

/* As where a file system hangs: everything else goes on meanwhile, and the guest's requests too. */
START_TEST(a_server_that_begins_slowly_holds_up_nothing)
{
	struct loop_source *heard;
	unsigned i;

	begin();
	add("/a");
	share("/b");
	heard = &shares->change.next->socket;
	loop_remove(fake->host.loop, heard);
	for (i = 0; i < 20; i++)
		turn();
	ck_assert(monitor.share.active);
	ck_assert_uint_eq(shares->change.until_ns, 0);
	ck_assert_int_eq(loop_add(fake->host.loop, heard, EPOLLIN), 0);
	reply_to(wait_for_mount(), 0);
	expect(NULL);
	/* One that never begins is given up. */
	share("/c");
	heard = &shares->change.next->socket;
	loop_remove(fake->host.loop, heard);
	turn();
	ck_assert_int_eq(kill(next_server(), SIGKILL), 0);
	ck_assert_int_eq(loop_add(fake->host.loop, heard, EPOLLIN), 0);
	expect("it has closed its socket");
	ck_assert_uint_eq(shares->count, 2);
	end();
}
END_TEST

/* Nor is the number of a share that is gone another one's after a restore. */
START_TEST(a_number_that_is_gone_outlives_a_snapshot)
{
	struct share_link link[2] = {{.host = "/host/b"}, {.host = "/host/c"}};
	struct shares later = {.link = {&link[0], &link[1]}, .count = 2, .used = 3};
	struct pack state = {.data = NULL};
	struct snapshot saved;
	struct err err = {""};

	begin();
	add("/a");
	add("/b");
	take_back("/a");
	reply_to(wait_for_mount(), 0);
	expect(NULL);
	ck_assert_int_eq(shares_save(shares, true, &state, &err), 0);
	saved = (struct snapshot){.state = state.data, .state_length = state.length};
	strcpy(link[0].share.guest, "/b");
	strcpy(link[1].share.guest, "/c");
	ck_assert_int_eq(shares_check_saved(&later, &saved, &err), 0);
	ck_assert(link[0].kept && !link[1].kept);
	ck_assert_uint_eq(link[0].number, 1);
	ck_assert_uint_eq(link[1].number, 2);
	ck_assert_uint_eq(later.used, 7);
	pack_free(&state);
	end();
}
END_TEST

UNIT_MAIN("control_shares", a_share_comes_and_goes, an_agent_that_never_replies_keeps_no_share,
	  what_was_served_is_searched_at_the_end, what_is_refused_takes_no_number,
	  a_share_that_stays_is_denied, a_number_that_is_gone_outlives_a_snapshot,
	  a_server_that_begins_slowly_holds_up_nothing)
