/* SPDX-License-Identifier: Apache-2.0 */
/* One walk through the rules for a whole path. */
#include "vmm/policy/guard.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/support/files_host.h"
#include "tests/support/unit.h"
#include "vmm/policy/audit.h"
#include "vmm/policy/in_force.h"
#include "tests/unit/guard_common.h"

/* --- one walk --------------------------------------------------------------------------------- */

static unsigned long seed = 1;

static unsigned pick(unsigned count)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(seed >> 33) % count;
}

static size_t random_path(char *to, const char *const *part, unsigned parts, unsigned most)
{
	size_t used = (size_t)sprintf(to, "/w");
	unsigned count = pick(most) + 1, i;

	for (i = 0; i < count; i++)
		used += (size_t)sprintf(to + used, "/%s", part[pick(parts)]);
	return used;
}

static struct policy *random_policy(void)
{
	static const char *const part[] = {"a", "b", "c", ".env", "*", "**", "a*", "?", "**"};
	static const char *const verdict[] = {"hide", "deny", "read", "append", "write", "hide"};
	const struct policy_source source = {.name = "p", .directory = "/"};
	char text[2048];
	size_t used = (size_t)sprintf(text, "policy 1\nshare a /w\n");
	unsigned count = pick(8) + 1, i;
	struct policy *policy = NULL;

	for (i = 0; i < count; i++) {
		used += (size_t)sprintf(text + used, "file %s ", verdict[pick(6)]);
		used += random_path(text + used, part, ARRAY_SIZE(part), 4);
		used += (size_t)sprintf(text + used, "\n");
	}
	/* A rule that can't be reached is an error: then it is another policy's turn. */
	policy_parse(&policy, text, used, &source, NULL);
	return policy;
}

static enum policy_verdict decide(const struct policy *policy, const struct policy_request *request)
{
	struct policy_decision decision;

	policy_decide(policy, request, &decision);
	/* What hides says so in its line. */
	if (decision.verdict == POLICY_HIDE)
		ck_assert_int_eq(decision.rule->action, POLICY_ACTION_HIDE);
	return decision.verdict;
}

/* As the file server once did it: a decision about each directory on the way. */
static enum policy_verdict decide_each(const struct policy *policy, struct policy_request request)
{
	struct policy_request above = request;

	above.op = POLICY_LOOKUP;
	above.root = 0;
	for (above.length = request.root + 1; above.length < request.length; above.length++)
		if (request.object[above.length] == '/' && decide(policy, &above) != POLICY_ALLOW)
			return POLICY_HIDE;
	request.root = 0;
	return decide(policy, &request);
}

START_TEST(one_walk_decides_as_one_for_each_directory_did)
{
	static const char *const part[] = {"a", "b", "c", ".env", "ab", "d"};
	struct policy_request request = {.class = POLICY_FILE};
	unsigned i, k, policies = 0, hidden = 0, above = 0;
	struct policy *policy;
	char path[256];

	for (i = 0; i < 6000; i++) {
		policy = random_policy();
		if (!policy)
			continue;
		policies++;
		for (k = 0; k < 60; k++) {
			request.op = (enum policy_op)pick(POLICY_ATTRIBUTES + 1);
			request.object = path;
			request.length = random_path(path, part, ARRAY_SIZE(part), 7);
			request.root = pick(3) ? 2 : 1;
			ck_assert_msg(decide(policy, &request) == decide_each(policy, request),
				      "%s under\n%s", path, policy_text(policy));
			hidden += decide(policy, &request) == POLICY_HIDE;
			request.root = 0;
			above += decide_each(policy, request) == POLICY_ALLOW;
		}
		policy_free(policy);
	}
	/* It was about something. */
	ck_assert_uint_gt(policies, 1000);
	ck_assert_uint_gt(hidden, 1000);
	ck_assert_uint_gt(above, 1000);
}
END_TEST

START_TEST(contents_of_a_hidden_directory_are_hidden)
{
	struct policy *policy = make(0, "file read /w/.env/ok\nfile hide /w/.env /w/h\n"
					"file write /w/**\n");
	struct policy_request request = {.class = POLICY_FILE,
					 .op = POLICY_READ,
					 .object = "/w/.env/ok",
					 .length = 10,
					 .root = 2};

	ck_assert_int_eq(decide(policy, &request), POLICY_HIDE);
	request.root = POLICY_ROOT_FIND;
	ck_assert_int_eq(decide(policy, &request), POLICY_HIDE);
	/* The root itself does not count, nor what is above it. */
	request.root = 7;
	ck_assert_int_eq(decide(policy, &request), POLICY_ALLOW);
	request.root = 0;
	ck_assert_int_eq(decide(policy, &request), POLICY_ALLOW);
	/* The other end of a rename, too. */
	request = (struct policy_request){.class = POLICY_FILE,
					  .op = POLICY_RENAME,
					  .object = "/w/a",
					  .length = 4,
					  .other = "/w/h/b",
					  .other_length = 6,
					  .root = 2};
	ck_assert_int_eq(decide(policy, &request), POLICY_DENY);
	request.other = "/w/g/b";
	ck_assert_int_eq(decide(policy, &request), POLICY_ALLOW);
	policy_free(policy);
}
END_TEST

/* --- what a deep path costs ------------------------------------------------------------------- */

static void make_directories(const struct files_host *host)
{
	int fd = open(host->base, O_PATH | O_DIRECTORY | O_CLOEXEC), next;
	char name[2] = "";
	unsigned i;

	for (i = 0; i < DEPTH; i++) {
		name[0] = (char)('a' + i % 3);
		ck_assert_int_eq(mkdirat(fd, name, 0755), 0);
		next = openat(fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
		ck_assert_int_ge(next, 0);
		close(fd);
		fd = next;
	}
	next = openat(fd, "f", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	ck_assert_int_ge(next, 0);
	close(next);
	close(fd);
}

START_TEST(a_deep_path_costs_as_many_decisions_as_a_short_one)
{
	static const struct {
		const char *what;
		unsigned most;
	} step[] = {{"open", 3}, {"read", 1}, {"set attributes", 2}, {"rename", 6}, {"link", 6}};
	static struct files_host host;
	struct fuse_client *client = &host.client;
	uint64_t count[ARRAY_SIZE(step)], mark, node, directory;
	struct fuse_open_out open;
	struct fuse_attr attr;
	size_t n, i;
	char byte;

	make_deep();
	files_host_begin(&host, "file hide /w/**/.env\nfile write /w/**\n", false);
	make_directories(&host);
	mark = guard_uses(host.guard);
	ck_assert_int_eq(fc_go(client, deep + 3, &node), 0);
	/* One for each name. */
	ck_assert_uint_eq(used(&host, &mark), DEPTH + 1);
	deep[strlen(deep) - 2] = '\0';
	ck_assert_int_eq(fc_go(client, deep + 3, &directory), 0);
	used(&host, &mark);
	ck_assert_int_eq(fc_open(client, node, O_RDWR, &open), 0);
	count[0] = used(&host, &mark);
	ck_assert_int_eq(fc_read(client, node, open.fh, 0, 1, &byte, &n), 0);
	count[1] = used(&host, &mark);
	ck_assert_int_eq(fc_setattr(client, node, FATTR_MODE, 0600, 0), 0);
	count[2] = used(&host, &mark);
	ck_assert_int_eq(fc_rename(client, directory, "f", client->root, "g", 0), 0);
	count[3] = used(&host, &mark);
	ck_assert_int_eq(fc_link(client, client->root, "h", node), 0);
	count[4] = used(&host, &mark);
	for (i = 0; i < ARRAY_SIZE(step); i++)
		ck_assert_msg(count[i] >= 1 && count[i] <= step[i].most, "%s: %lu decisions",
			      step[i].what, (unsigned long)count[i]);
	/* And it is the rules that decide: beneath what is hidden now nothing is left. */
	ck_assert_int_eq(fc_getattr(client, node, &attr), 0);
	files_host_replace(&host, "file read /w/a/b/**\nfile hide /w/a\nfile write /w/**\n");
	ck_assert_int_eq(fc_read(client, node, open.fh, 0, 1, &byte, &n), 0); /* it is /w/g */
	ck_assert_int_eq(fc_try_open(client, "h", O_RDONLY), 0);
	ck_assert_int_eq(fc_try_open(client, "a/b", O_RDONLY), ENOENT);
	files_host_end(&host);
}
END_TEST

UNIT_MAIN("guard_walk", one_walk_decides_as_one_for_each_directory_did,
	  contents_of_a_hidden_directory_are_hidden,
	  a_deep_path_costs_as_many_decisions_as_a_short_one)
