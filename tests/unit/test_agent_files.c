/* SPDX-License-Identifier: Apache-2.0 */
/* Shares and served roots: MOUNT, ROOT and FILES, and what the agent makes of FILES. */
#include <errno.h>
#include <string.h>
#include <sys/wait.h>

#include "guest-kernel/agent/agent.h"
#include "tests/unit/agent_channel_common.h"

#define VIRTIOFS AGENT_FEATURE_VIRTIOFS

/* --- the monitor's end ------------------------------------------------------------------------ */

/* The payload of the one frame that was sent. */
static const uint8_t *sent(struct fake *fake, uint16_t type, size_t length)
{
	struct agent_header header = agent_get_header(fake->out);

	ck_assert_uint_eq(fake->out_length, AGENT_HEADER_SIZE + length);
	ck_assert_uint_eq(header.type, type);
	ck_assert_uint_eq(header.flags, 0);
	ck_assert_uint_ne(header.id, 0);
	ck_assert_uint_eq(header.length, length);
	fake->out_length = 0;
	return fake->out + AGENT_HEADER_SIZE;
}

START_TEST(a_mount_names_the_share_by_its_number)
{
	struct agent_mount mount = {.number = 63, .path = "/deep/w", .read_only = true};
	struct fake *fake = with_features(VIRTIOFS);
	const uint8_t *at;

	ck_assert_int_eq(agent_channel_mount(fake->host.channel, &mount, NULL), 0);
	at = sent(fake, AGENT_MOUNT, AGENT_MOUNT_SIZE + 7);
	ck_assert_uint_eq(agent_get32(at + AGENT_MOUNT_AT_NUMBER), 63);
	ck_assert_uint_eq(agent_get32(at + AGENT_MOUNT_AT_FLAGS), AGENT_MOUNT_READ_ONLY);
	ck_assert_mem_eq(at + AGENT_MOUNT_SIZE, "/deep/w", 7);
	mount = (struct agent_mount){.number = 0, .path = "/w"};
	ck_assert_int_eq(agent_channel_mount(fake->host.channel, &mount, NULL), 0);
	at = sent(fake, AGENT_MOUNT, AGENT_MOUNT_SIZE + 2);
	ck_assert_uint_eq(agent_get32(at + AGENT_MOUNT_AT_NUMBER), 0);
	ck_assert_uint_eq(agent_get32(at + AGENT_MOUNT_AT_FLAGS), 0);
	fake_destroy(fake);
}
END_TEST

START_TEST(a_mount_has_an_absolute_path_of_some_length)
{
	static char path[AGENT_MOUNT_PATH_MAX + 2];
	struct agent_mount mount = {.path = path};
	struct fake *fake = with_features(VIRTIOFS);

	memset(path, 'a', sizeof(path) - 1);
	ck_assert_int_eq(agent_channel_mount(fake->host.channel, &mount, NULL), -EINVAL);
	path[0] = '/';
	ck_assert_int_eq(agent_channel_mount(fake->host.channel, &mount, NULL), -ENAMETOOLONG);
	ck_assert_uint_eq(fake->out_length, 0);
	path[AGENT_MOUNT_PATH_MAX] = '\0';
	ck_assert_int_eq(agent_channel_mount(fake->host.channel, &mount, NULL), 0);
	sent(fake, AGENT_MOUNT, AGENT_MOUNT_SIZE + AGENT_MOUNT_PATH_MAX);
	fake_destroy(fake);
}
END_TEST

START_TEST(files_has_known_flags)
{
	struct fake *fake = with_features(VIRTIOFS);
	struct agent_channel *channel = fake->host.channel;
	uint32_t flags;
	const uint8_t *at;

	ck_assert_int_eq(agent_channel_files(channel, 0, NULL), -EINVAL);
	ck_assert_int_eq(agent_channel_files(channel, 4, NULL), -EINVAL);
	ck_assert_int_eq(agent_channel_files(channel, UINT32_MAX, NULL), -EINVAL);
	ck_assert_uint_eq(fake->out_length, 0);
	for (flags = 1; flags <= 3; flags++) {
		ck_assert_int_eq(agent_channel_files(channel, flags, NULL), 0);
		at = sent(fake, AGENT_FILES, AGENT_FILES_SIZE);
		ck_assert_uint_eq(agent_get32(at + AGENT_FILES_AT_FLAGS), flags);
	}
	fake_destroy(fake);
}
END_TEST

START_TEST(files_replies_when_it_is_done)
{
	struct fake *fake = with_features(VIRTIOFS);
	struct host *host = &fake->host;
	struct agent_channel *channel = host->channel;

	ck_assert_int_eq(agent_channel_files(channel, AGENT_FILES_SYNC, HOST_REPLY(host)), 0);
	ck_assert_int_eq(agent_channel_ping(channel, HOST_REPLY(host)), 0);
	/* A later request may be replied to before. */
	put32(fake, AGENT_RESULT, 2, 0);
	agent_channel_readable(channel);
	ck_assert_uint_eq(host->replies, 1);
	put32(fake, AGENT_RESULT, 1, EBUSY);
	agent_channel_readable(channel);
	ck_assert_uint_eq(host->replies, 2);
	ck_assert_int_eq(host->reply, EBUSY);
	fake_destroy(fake);
}
END_TEST

/* Those with 9P announced the feature that is now free, and took other payloads. */
START_TEST(agents_with_9p_get_none_of_it)
{
	struct agent_mount mount = {.path = "/w"};
	struct agent_root root = {.lower = AGENT_LOWER_SHARE, .type = "virtiofs"};
	struct fake *fake = with_features(UINT32_MAX & ~VIRTIOFS);
	struct agent_channel *channel = fake->host.channel;

	ck_assert_int_eq(agent_channel_mount(channel, &mount, NULL), -EOPNOTSUPP);
	ck_assert_int_eq(agent_channel_files(channel, AGENT_FILES_SYNC, NULL), -EOPNOTSUPP);
	ck_assert_int_eq(agent_channel_set_root(channel, &root, NULL), -EOPNOTSUPP);
	ck_assert_uint_eq(fake->out_length, 0);
	root.lower = AGENT_LOWER_DISK;
	root.type = "erofs";
	ck_assert_int_eq(agent_channel_set_root(channel, &root, NULL), 0);
	sent(fake, AGENT_ROOT, AGENT_ROOT_SIZE + 5);
	fake_destroy(fake);

	fake = with_features(VIRTIOFS);
	root = (struct agent_root){
		.lower = AGENT_LOWER_SHARE, .lower_number = 64, .type = "virtiofs"};
	ck_assert_int_eq(agent_channel_set_root(fake->host.channel, &root, NULL), 0);
	ck_assert_uint_eq(agent_get32(sent(fake, AGENT_ROOT, AGENT_ROOT_SIZE + 8) +
				      AGENT_ROOT_AT_LOWER_NUMBER),
			  64);
	fake_destroy(fake);
	/* Before the agent has greeted nothing is known of it. */
	fake = fake_create();
	ck_assert_int_eq(agent_channel_mount(fake->host.channel, &mount, NULL), -ENOTCONN);
	ck_assert_int_eq(agent_channel_files(fake->host.channel, 1, NULL), -ENOTCONN);
	fake_destroy(fake);
}
END_TEST

/* --- the agent, without a device -------------------------------------------------------------- */

static struct agent agent;

/* Waits for the end of its child. True: that was the one of FILES. */
static bool child_ended(void)
{
	int status;
	pid_t pid = wait(&status);

	ck_assert_int_gt(pid, 0);
	return files_ended(&agent, pid, status);
}

START_TEST(the_agent_refuses_unknown_flags)
{
	ck_assert_uint_eq(files_start(&agent, 1, 0), EINVAL);
	ck_assert_uint_eq(files_start(&agent, 1, 4), EINVAL);
	ck_assert_uint_eq(files_start(&agent, 1, AGENT_FILES_SYNC | 8), EINVAL);
	ck_assert_int_eq(wait(NULL), -1);
	ck_assert_int_eq(errno, ECHILD);
	ck_assert_int_eq(files_tree(0, false), -ENXIO);
	ck_assert_int_eq(files_mount(64, true, "/"), -ENXIO);
}
END_TEST

START_TEST(the_agent_does_one_at_a_time)
{
	const uint8_t *out = agent.link.out;

	agent.connections = 1;
	ck_assert_uint_eq(files_start(&agent, 7, AGENT_FILES_SYNC), 0);
	ck_assert_uint_eq(files_start(&agent, 8, AGENT_FILES_SYNC), EBUSY);
	ck_assert(!files_ended(&agent, getpid(), 0));
	ck_assert_uint_eq(agent.link.out_used, 0);
	ck_assert(child_ended());
	/* Nothing is mounted, so nothing needs to be written. */
	ck_assert_uint_eq(agent.link.out_used, AGENT_HEADER_SIZE + 4);
	ck_assert_uint_eq(agent_get_header(out).type, AGENT_RESULT);
	ck_assert_uint_eq(agent_get_header(out).id, 7);
	ck_assert_uint_eq(agent_get32(out + AGENT_HEADER_SIZE), 0);
	/* A request of a connection that has ended is not replied to. */
	ck_assert_uint_eq(files_start(&agent, 9, AGENT_FILES_SYNC), 0);
	agent.connections = 2;
	ck_assert(child_ended());
	ck_assert_uint_eq(agent.link.out_used, AGENT_HEADER_SIZE + 4);
	ck_assert_uint_eq(files_start(&agent, 10, AGENT_FILES_SYNC), 0);
	ck_assert(child_ended());
	ck_assert_uint_eq(agent.link.out_used, 2 * (AGENT_HEADER_SIZE + 4));
	ck_assert_uint_eq(agent_get_header(out + AGENT_HEADER_SIZE + 4).id, 10);
}
END_TEST

/* A copy of the guest has another monitor, which does not know what the agent is doing. */
START_TEST(the_agent_goes_on_with_another_connections_request)
{
	const uint8_t *out = agent.link.out;

	agent.connections = 1;
	ck_assert_uint_eq(files_start(&agent, 7, AGENT_FILES_SYNC), 0);
	agent.connections = 2;
	ck_assert_uint_eq(files_start(&agent, 8, AGENT_FILES_SYNC), 0);
	agent.connections = 3;
	ck_assert_uint_eq(files_start(&agent, 9, AGENT_FILES_SYNC), 0);
	/* Its own connection knows of that one. */
	ck_assert_uint_eq(files_start(&agent, 10, AGENT_FILES_SYNC), EBUSY);
	ck_assert(child_ended());
	ck_assert_uint_eq(agent.link.out_used, 0);
	ck_assert(child_ended());
	ck_assert_uint_eq(agent.link.out_used, AGENT_HEADER_SIZE + 4);
	ck_assert_uint_eq(agent_get_header(out).id, 9);
	ck_assert_uint_eq(agent_get32(out + AGENT_HEADER_SIZE), 0);
	/* What waits ends with its connection. */
	ck_assert_uint_eq(files_start(&agent, 11, AGENT_FILES_SYNC), 0);
	agent.connections = 4;
	ck_assert_uint_eq(files_start(&agent, 12, AGENT_FILES_SYNC), 0);
	agent.connections = 5;
	ck_assert(child_ended());
	ck_assert_int_eq(wait(NULL), -1);
	ck_assert_uint_eq(files_start(&agent, 13, AGENT_FILES_SYNC), 0);
	ck_assert(child_ended());
	ck_assert_uint_eq(agent_get_header(out + AGENT_HEADER_SIZE + 4).id, 13);
}
END_TEST

/* Here /proc is not open. */
START_TEST(the_agent_says_why_it_cannot_drop_caches)
{
	ck_assert_uint_eq(files_start(&agent, 7, AGENT_FILES_DROP), 0);
	ck_assert(child_ended());
	ck_assert_uint_eq(agent_get_header(agent.link.out).id, 7);
	ck_assert_uint_eq(agent_get32(agent.link.out + AGENT_HEADER_SIZE), EBADF);
}
END_TEST

UNIT_MAIN("agent_files", a_mount_names_the_share_by_its_number,
	  a_mount_has_an_absolute_path_of_some_length, files_has_known_flags,
	  files_replies_when_it_is_done, agents_with_9p_get_none_of_it,
	  the_agent_refuses_unknown_flags, the_agent_does_one_at_a_time,
	  the_agent_goes_on_with_another_connections_request,
	  the_agent_says_why_it_cannot_drop_caches)
