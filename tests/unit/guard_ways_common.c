/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/guard_ways_common.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "vmm/base/bytes.h"
#include "vmm/policy/policy_copy.h"

struct err why;
uint64_t clock_ns = 1;
const struct audit_budget plenty = {1 << 30, 1 << 30};

static uint64_t fixed_clock(void)
{
	return clock_ns;
}

/* In place of the C library's: the same names collide in both ways' tables (hidden.h). */
ssize_t getrandom(void *buffer, size_t length, unsigned flags)
{
	(void)flags;
	memset(buffer, 0x5a, length);
	return (ssize_t)length;
}

/* --- policies --------------------------------------------------------------------------------- */

static const char *const texts[] = {
	"policy 1\nshare a /w\nfile hide /w/**/.env\nfile deny /w/src/b\nfile read /w/x/**\n"
	"file write /w/**\n",
	"policy 1\nfile hide /w/y/**\nfile append /w/src/**\ninclude workspace\n",
	"policy 1\nshare a /w\non-deny continue audit=required\nfile ask /w/x/a\n"
	"file read /w/x/**\nfile write /w/**\n",
};

static const struct policy_share shares[] = {
	{.host = "/host/x", .guest = "/x", .uid = -1, .gid = -1},
	{.host = "/host/y", .guest = "/w/y/z", .read_only = true, .uid = -1, .gid = -1},
};

struct policy *policy_of(unsigned number)
{
	static const char more[] = "policy 1\nshare $HOME/d /d ro\nfile deny /d/src/**\n"
				   "file read /d/**\n";
	const char *text = texts[number % ARRAY_SIZE(texts)];
	const struct policy_part part[] = {{"first.policy", "/host", strlen(text)},
					   {"second \"file\".policy", "/b", sizeof(more) - 1}};
	struct policy_source source = {
		.name = "p", .directory = "/host", .cwd = "/w", .home = "/home/u", .lenient = true};
	struct policy *policy;
	char whole[1024];

	snprintf(whole, sizeof(whole), "%s%s", text, number % 2 ? more : "");
	if (number % 2) {
		source.part = part;
		source.parts = 2;
	}
	source.share = shares;
	source.shares = number / 2 % 3;
	ck_assert_msg(policy_parse(&policy, whole, strlen(whole), &source, &why) == 0, "%s",
		      why.text);
	return policy;
}

/* --- the two ways ----------------------------------------------------------------------------- */

void deliver(struct way *way)
{
	struct message *message;

	while ((message = way->first)) {
		ck_assert_int_eq(
			guard_report(way->monitor, message->bytes, message->length, &way->verdict),
			0);
		way->reports++;
		way->first = message->next;
		free(message->bytes);
		free(message);
	}
	way->last = &way->first;
}

static int send_report(void *arg, const void *report, size_t length, bool required,
		       uint64_t *ticket)
{
	struct message *message = malloc(sizeof(*message));
	struct way *way = arg;

	ck_assert_uint_le(length, GUARD_REPORT_MAX);
	*message = (struct message){.bytes = malloc(length), .length = length};
	memcpy(message->bytes, report, length);
	*way->last = message;
	way->last = &message->next;
	if (required)
		*ticket = 77;
	return 0;
}

enum policy_verdict wait_verdict(void *arg, uint64_t ticket)
{
	struct way *way = arg;

	ck_assert_uint_eq(ticket, 77);
	way->waits++;
	deliver(way);
	return way->verdict;
}

void copy_policy(void *arg, const struct policy *policy)
{
	int fd;

	ck_assert_int_eq(policy_copy_write(policy, POLICY_COPY_WHOLE, &fd), 0);
	ck_assert_int_eq(policy_copy_read(fd, arg), 0);
	close(fd);
}

static void follow(void *arg)
{
	struct way *way = arg;
	struct policy *policy;

	guard_with_policy(way->monitor, copy_policy, &policy);
	ck_assert_int_eq(guard_replace_remote(way->server, policy, guard_version(way->monitor),
					      guard_reports_wanted(way->monitor)),
			 0);
	/* All of the old policy. */
	deliver(way);
}

void add_server(struct way *way)
{
	const struct guard_remote remote = {send_report, wait_verdict, way, fixed_clock, NULL};
	struct policy *policy;

	way->last = &way->first;
	guard_with_policy(way->monitor, copy_policy, &policy);
	ck_assert_int_eq(guard_create_remote(&way->server, policy, guard_version(way->monitor),
					     guard_reports_wanted(way->monitor), &remote),
			 0);
	guard_expect_reports(way->monitor, follow, way);
}

static struct audit *open_log(struct way *way, const struct audit_budget *budget)
{
	struct audit_config config = {
		.path = way->path, .file_bytes = 1ull << 30, .now = fixed_clock};
	struct audit *audit;
	unsigned i;

	for (i = 0; i < AUDIT_KINDS; i++)
		config.budget[i] = *budget;
	strcpy(way->directory, "/tmp/cordon-remote-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(way->directory));
	snprintf(way->path, sizeof(way->path), "%s/log", way->directory);
	ck_assert_msg(audit_open(&audit, &config, &why) == 0, "%s", why.text);
	return audit;
}

void begin(struct way *way, struct policy *policy, const struct audit_budget *budget)
{
	*way = (struct way){.first = NULL};
	ck_assert_int_eq(guard_create(&way->monitor, policy, budget ? open_log(way, budget) : NULL),
			 0);
}

void end_guards(struct way *way)
{
	if (way->server)
		deliver(way);
	guard_destroy(way->server);
	guard_destroy(way->monitor);
}

struct guard *decider(const struct way *way)
{
	return way->server ? way->server : way->monitor;
}

void remove_log(const struct way *way)
{
	char path[128];

	unlink(way->path);
	snprintf(path, sizeof(path), "%s.denials", way->path);
	unlink(path);
	rmdir(way->directory);
}
