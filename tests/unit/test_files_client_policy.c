/* SPDX-License-Identifier: Apache-2.0 */
/* The file server's process decides by the sandbox's policy, and the sandbox's log has it. */
#include <pthread.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "tests/support/audit_log.h"
#include "tests/unit/files_client_common.h"
#include "vmm/base/spawn.h"
#include "vmm/files/client_internal.h"

#define RULES                       \
	"file hide  /w/**/.env\n"   \
	"file deny  /w/denied/**\n" \
	"file read  /w/read/**\n"   \
	"file write /w/**\n"
#define NO_DIRECTORIES "file read /w/**\n"

static char text[4096];

START_TEST(it_decides_by_the_policy)
{
	begin_host(RULES, false);
	files_host_fill(&host);
	begin_server();
	ck_assert_int_eq(files_client_add(files, 0, &host.share, FUSED_STRICT), 0);
	greet();
	ck_assert_int_eq(fc_cat(client, "f", text, sizeof(text)), 0);
	ck_assert_int_eq(fc_try_open(client, "denied/f", O_RDONLY), EACCES);
	ck_assert_int_eq(fc_try_open(client, "d/.env", O_RDONLY), ENOENT);
	ck_assert_int_eq(fc_try_open(client, "read/f", O_RDONLY), 0);
	ck_assert_int_eq(fc_try_open(client, "read/f", O_RDWR), EACCES);
	ck_assert_uint_eq(told.died, 0);
	end_files();
}
END_TEST

/* As soon as guard_replace() has returned. */
START_TEST(a_replaced_policy_is_in_effect_at_once)
{
	unsigned i;

	begin_files(RULES, false);
	for (i = 0; i < 20; i++) {
		snprintf(text, sizeof(text), "d%u", i);
		ck_assert_int_eq(fc_mkdir(client, ROOT, text, 0755), 0);
		files_host_replace(&host, NO_DIRECTORIES);
		ck_assert_uint_eq(guard_version(host.guard), 2 * i + 1);
		ck_assert_int_eq(fc_mkdir(client, ROOT, "no", 0755), EACCES);
		files_host_replace(&host, RULES);
	}
	ck_assert_uint_eq(told.died, 0);
	end_files();
	/* A server that starts has the policy of then. */
	begin_host(RULES, false);
	files_host_replace(&host, NO_DIRECTORIES);
	begin_server();
	ck_assert_int_eq(files_client_add(files, 0, &host.share, FUSED_STRICT), 0);
	greet();
	ck_assert_int_eq(fc_mkdir(client, ROOT, "no", 0755), EACCES);
	files_host_replace(&host, RULES);
	ck_assert_int_eq(fc_mkdir(client, ROOT, "yes", 0755), 0);
	ck_assert_uint_eq(told.died, 0);
	end_files();
}
END_TEST

/*
 * A server that has not started decides nothing: a policy that is replaced meanwhile waits for
 * nothing, and what was sent before is decided by it, too.
 */
START_TEST(a_policy_is_replaced_before_the_server_starts)
{
	struct files_client_config config = {.ops = &told_ops};
	struct err err = {""};
	int pair[2];
	pid_t pid;

	begin_host(RULES, false);
	config.guard = host.guard;
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	ck_assert_int_eq(files_client_attach(&files, loop, pair[0], 0, &config, &err), 0);
	ck_assert_int_eq(files_client_add(files, 0, &host.share, FUSED_STRICT), 0);
	files_client_begin(files);
	/* Nothing else lets requests begin. */
	files_client_hold(files, true);
	files_client_hold(files, false);
	ck_assert_uint_eq(atomic_load(&files->ring->held), 1);
	files_host_replace(&host, RULES);
	files_host_replace(&host, NO_DIRECTORIES);
	ck_assert(!files->ending);
	ck_assert_int_eq(spawn_self(&pid, NULL, FILES_CLIENT_PROGRAM, &pair[1], 1), 0);
	close(pair[1]);
	greet();
	ck_assert_uint_eq(atomic_load(&files->ring->held), 0);
	ck_assert_int_eq(fc_mkdir(client, ROOT, "no", 0755), EACCES);
	/* From now on it waits until the server has it. */
	files_host_replace(&host, RULES);
	ck_assert_int_eq(fc_mkdir(client, ROOT, "yes", 0755), 0);
	ck_assert_uint_eq(told.died, 0);
	end_files();
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}
END_TEST

/* --- the log ---------------------------------------------------------------------------------- */

static struct policy *parse(const char *rules)
{
	const struct policy_source source = {.name = "test", .directory = "/", .home = "/"};
	struct policy *policy = NULL;
	struct err err = {""};

	snprintf(text, sizeof(text), "policy 1\nshare / /w\n%s", rules);
	ck_assert_msg(policy_parse(&policy, text, strlen(text), &source, &err) == 0, "%s",
		      err.text);
	return policy;
}

static void begin_logged(const char *rules)
{
	audit_log_begin();
	begin_host(NULL, false);
	ck_assert_int_eq(guard_create(&host.guard, parse(rules),
				      audit_log_open((struct audit_config){.files = 2})),
			 0);
	files_host_fill(&host);
	begin_server();
	ck_assert_int_eq(files_client_add(files, 0, &host.share, FUSED_STRICT), 0);
	greet();
}

static void end_logged(void)
{
	ck_assert_uint_eq(told.died, 0);
	end_files();
}

START_TEST(what_it_decides_is_logged)
{
	begin_logged(RULES);
	ck_assert_int_eq(fc_cat(client, "f", text, sizeof(text)), 0);
	ck_assert_int_eq(fc_try_open(client, "denied/f", O_RDONLY), EACCES);
	ck_assert_int_eq(fc_try_open(client, "d/.env", O_RDONLY), ENOENT);
	/* Behind the last of them, and logged at the end at the latest. */
	end_logged();
	ck_assert_uint_eq(audit_log_lines("\"/w/f\""), 1);
	ck_assert_uint_eq(audit_log_lines("\"/w/denied/f\""), 1);
	ck_assert_uint_eq(audit_log_lines("\"/w/d/.env\""), 1);
	audit_log_end();
}
END_TEST

START_TEST(a_required_log_is_waited_for)
{
	const struct fuse_mkdir_in in = {.mode = 0755};
	struct fuse_out_header out;
	unsigned slot, i;
	ssize_t n;

	begin_logged("on-deny continue audit=required\n" RULES);
	/* Not done before the loop has logged it. */
	fc_begin(client, FUSE_MKDIR, ROOT);
	fc_bytes(client, &in, sizeof(in));
	fc_string(client, "waits");
	store_le32(client->message, (uint32_t)client->length);
	slot = post(client->message, client->length, 4096);
	usleep(100000);
	ck_assert(!host_has(&host, "waits"));
	ck_assert_uint_eq(audit_log_lines("waits"), 0);
	n = finish(slot, client->reply, 4096);
	ck_assert_int_ge(n, (ssize_t)sizeof(out));
	memcpy(&out, client->reply, sizeof(out));
	ck_assert_int_eq(out.error, 0);
	ck_assert(host_has(&host, "waits"));
	for (i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), "many-%u", i);
		ck_assert_int_eq(fc_mkdir(client, ROOT, text, 0755), 0);
	}
	end_logged();
	ck_assert_uint_eq(audit_log_lines("/w/waits\""), 1);
	ck_assert_uint_eq(audit_log_lines("/w/many-"), 100);
	audit_log_end();
}
END_TEST

/* Requests of another thread while the policy is replaced: each is logged under its policy. */
static atomic_bool enough;

static void *request_all_the_time(void *arg)
{
	const struct fuse_open_in in = {.flags = O_RDONLY};
	uint8_t message[128];
	struct fuse_in_header head = {.len = sizeof(head) + sizeof(in),
				      .opcode = FUSE_OPENDIR,
				      .nodeid = *(uint64_t *)arg};
	const void *reply;
	size_t length;
	void *buffer;
	int slot;

	memcpy(message, &head, sizeof(head));
	memcpy(message + sizeof(head), &in, sizeof(in));
	while (!atomic_load(&enough)) {
		slot = files_client_take(files, files_client_lane(files, message, head.len),
					 &buffer);
		if (slot < 0)
			continue;
		memcpy(buffer, message, head.len);
		files_client_send(files, (unsigned)slot, head.len, 4096);
		if (files_client_wait(files, (unsigned)slot, 1000000000, &reply, &length))
			files_client_release(files, (unsigned)slot);
	}
	return NULL;
}

START_TEST(policies_end_in_the_log_where_they_do)
{
	uint64_t root;
	pthread_t thread;
	unsigned i;

	begin_logged(RULES);
	root = ROOT;
	ck_assert_int_eq(pthread_create(&thread, NULL, request_all_the_time, &root), 0);
	for (i = 0; i < 50; i++) {
		files_host_replace(&host, i % 2 ? RULES : NO_DIRECTORIES);
		run(2);
	}
	atomic_store(&enough, true);
	pthread_join(thread, NULL);
	/* A report of a policy that is no longer in force would have ended it. */
	end_logged();
	ck_assert_uint_eq(audit_log_lines("policy-set"), 50);
	audit_log_end();
}
END_TEST

UNIT_MAIN("files_client_policy", it_decides_by_the_policy, a_replaced_policy_is_in_effect_at_once,
	  a_policy_is_replaced_before_the_server_starts, what_it_decides_is_logged,
	  a_required_log_is_waited_for, policies_end_in_the_log_where_they_do)
