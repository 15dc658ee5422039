/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guard under threads, and what a deep path costs. Under ThreadSanitizer:
 *     make BUILD=build/tsan SANITIZE=thread build/tsan/tests/unit/test_guard
 *     CK_FORK=no build/tsan/tests/unit/test_guard
 */
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

#define DEPTH	 1900 /* components: about as many as a path can have */
#define REPLACED 200  /* more often than there is room for old policies */
#define READERS	 3

static struct err err;
static char deep[2 * DEPTH + 16];

/* "/w/a/a/a ... /f" */
static size_t make_deep(void)
{
	size_t used = (size_t)sprintf(deep, "/w");
	unsigned i;

	for (i = 0; i < DEPTH; i++)
		used += (size_t)sprintf(deep + used, "/%c", 'a' + i % 3);
	return used + (size_t)sprintf(deep + used, "/f");
}

/* Policies are told apart by their files' names: "p0", "p1" ... */
static struct policy *make(unsigned number, const char *rules)
{
	char name[16], text[256];
	const struct policy_source source = {.name = name, .directory = "/"};
	struct policy *policy;

	snprintf(name, sizeof(name), "p%u", number);
	snprintf(text, sizeof(text), "policy 1\nshare a /w\n%s", rules);
	ck_assert_msg(policy_parse(&policy, text, strlen(text), &source, &err) == 0, "%s",
		      err.text);
	return policy;
}

static const char *const rules_of[] = {
	"file hide /w/**/.env\nfile read /w/**\n",
	"file hide /w/**/.env\nfile deny /w/a/**\nfile read /w/**\n",
};

/* --- threads ---------------------------------------------------------------------------------- */

struct crowd {
	struct guard *guard;
	size_t length;
	atomic_bool over;
	atomic_uint rounds;
};

static void *decide_for_ever(void *arg)
{
	struct crowd *crowd = arg;
	const struct policy_request request = {
		.class = POLICY_FILE,
		.op = POLICY_READ,
		.object = deep,
		.length = crowd->length,
		.root = 2,
	};
	struct policy_request shallow = request;
	enum policy_verdict verdict;
	unsigned i;

	shallow.length = 4;
	while (!atomic_load(&crowd->over)) {
		for (i = 0; i < 10; i++) {
			verdict = guard_decide(crowd->guard, &request, NULL);
			if (verdict != POLICY_ALLOW && verdict != POLICY_DENY)
				abort();
		}
		guard_check(crowd->guard, &shallow, NULL);
		atomic_fetch_add(&crowd->rounds, 1);
	}
	return NULL;
}

static struct audit *open_log(char folder[64])
{
	static char path[96];
	const struct audit_config config = {
		.path = path,
		.file_bytes = 1ull << 30,
		.budget = {{1 << 30, 1 << 30}, {1 << 30, 1 << 30}},
	};
	struct audit *audit;

	strcpy(folder, "/tmp/cordon-guard-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/log", folder);
	ck_assert_msg(audit_open(&audit, &config, &err) == 0, "%s", err.text);
	return audit;
}

#define LINES_MAX 400000

/* The lines of a log in its files, each at its sequence number: the policy's name. */
static char (*read_log(const char *folder))[8]
{
	static char line[LINES_MAX][8];
	char path[PATH_MAX], text[4096];
	struct dirent *entry;
	const char *rule, *event;
	DIR *dir = opendir(folder);
	json_int_t at;
	json_t *json;
	FILE *file;

	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		file = fopen(path, "re");
		ck_assert_ptr_nonnull(file);
		while (fgets(text, sizeof(text), file)) {
			json = json_loads(text, 0, NULL);
			at = json_integer_value(json_object_get(json, "seq"));
			ck_assert(at > 0 && at < LINES_MAX);
			rule = json_string_value(json_object_get(json, "rule"));
			event = json_string_value(json_object_get(json, "event"));
			if (rule)
				snprintf(line[at], sizeof(line[at]), "%.*s",
					 (int)strcspn(rule, ":"), rule);
			else if (event && strcmp(event, "policy-set") == 0)
				snprintf(line[at], sizeof(line[at]), "=%s",
					 json_string_value(json_object_get(json, "object")));
			json_decref(json);
		}
		fclose(file);
		unlink(path);
	}
	closedir(dir);
	rmdir(folder);
	return line;
}

/*
 * Readers never hold up who replaces, none of 200 policies stays, and each line of the log is of
 * the policy that the last "policy-set" before it names.
 */
START_TEST(policies_are_replaced_while_many_decide)
{
	char folder[64], (*line)[8], current[8] = "p0";
	struct crowd crowd = {.length = make_deep()};
	pthread_t thread[READERS];
	unsigned i, decisions = 0, sets = 0, before;

	ck_assert_int_eq(guard_create(&crowd.guard, make(0, rules_of[0]), open_log(folder)), 0);
	for (i = 0; i < READERS; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, decide_for_ever, &crowd), 0);
	for (i = 1; i <= REPLACED; i++) {
		before = atomic_load(&crowd.rounds);
		while (atomic_load(&crowd.rounds) < before + 3)
			sched_yield();
		ck_assert_int_eq(guard_replace(crowd.guard, make(i, rules_of[i % 2]), "test"), 0);
	}
	atomic_store(&crowd.over, true);
	for (i = 0; i < READERS; i++)
		pthread_join(thread[i], NULL);
	guard_destroy(crowd.guard);
	line = read_log(folder);
	for (i = 1; i < LINES_MAX; i++) {
		if (line[i][0] == '=') {
			snprintf(current, sizeof(current), "%s", line[i] + 1);
			sets++;
		} else if (line[i][0]) {
			ck_assert_msg(strcmp(line[i], current) == 0, "line %u: %s under %s", i,
				      line[i], current);
			decisions++;
		}
	}
	ck_assert_uint_eq(sets, REPLACED);
	ck_assert_uint_gt(decisions, REPLACED);
}
END_TEST

struct slow {
	struct guard *guard;
	sem_t in, go;
	uint64_t memory;
};

static void be_slow(void *arg, const struct policy *policy)
{
	struct slow *slow = arg;

	sem_post(&slow->in);
	sem_wait(&slow->go);
	/* It is there still, whatever took its place. */
	slow->memory = policy_limits(policy)->memory;
}

static void *use_slowly(void *arg)
{
	struct slow *slow = arg;

	guard_with_policy(slow->guard, be_slow, slow);
	return NULL;
}

START_TEST(who_replaces_does_not_wait_for_who_decides)
{
	const struct policy_request request = {
		.class = POLICY_FILE, .op = POLICY_READ, .object = "/w/a", .length = 4};
	struct slow slow = {.memory = 0};
	pthread_t thread;

	sem_init(&slow.in, 0, 0);
	sem_init(&slow.go, 0, 0);
	ck_assert_int_eq(
		guard_create(&slow.guard, make(0, "limit memory=64M\nfile read /w/**\n"), NULL), 0);
	/* Not the first one, which stays for its shares. */
	ck_assert_int_eq(
		guard_replace(slow.guard, make(1, "limit memory=96M\nfile read /w/**\n"), "test"),
		0);
	ck_assert_int_eq(pthread_create(&thread, NULL, use_slowly, &slow), 0);
	sem_wait(&slow.in);
	/* With a lock for readers this would wait for the thread, and that for us. */
	ck_assert_int_eq(guard_replace(slow.guard, make(2, rules_of[0]), "test"), 0);
	ck_assert_int_eq(guard_decide(slow.guard, &request, NULL), POLICY_ALLOW);
	ck_assert_int_eq(guard_replace(slow.guard, make(3, rules_of[1]), "test"), 0);
	ck_assert_int_eq(guard_decide(slow.guard, &request, NULL), POLICY_DENY);
	sem_post(&slow.go);
	pthread_join(thread, NULL);
	ck_assert_uint_eq(slow.memory, 96u << 20);
	guard_destroy(slow.guard);
}
END_TEST

struct nest {
	struct guard *guard;
	unsigned depth, refused;
};

/* Each level holds one more old policy. */
static void nest(void *arg, const struct policy *policy)
{
	struct nest *nested = arg;

	(void)policy;
	if (++nested->depth > IN_FORCE_MAX + 5)
		return;
	if (guard_replace(nested->guard, make(nested->depth, rules_of[0]), "test") == -EBUSY)
		nested->refused++;
	guard_with_policy(nested->guard, nest, nested);
}

START_TEST(old_policies_in_use_are_bounded)
{
	struct nest nested = {.depth = 0};
	unsigned i;

	ck_assert_int_eq(guard_create(&nested.guard, make(0, rules_of[0]), NULL), 0);
	guard_with_policy(nested.guard, nest, &nested);
	/* 64 stood, the first one among them; the rest was refused. */
	ck_assert_uint_eq(nested.refused, IN_FORCE_MAX + 5 - (IN_FORCE_MAX - 1));
	/* They have been let go. */
	for (i = 0; i < 3 * IN_FORCE_MAX; i++)
		ck_assert_int_eq(guard_replace(nested.guard, make(i, rules_of[1]), "test"), 0);
	guard_destroy(nested.guard);
}
END_TEST

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

START_TEST(what_is_in_something_hidden_is_hidden)
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

/* --- what a deep path costs ---------------------------------------------------------------------
 */

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

/* The path of so many components, 16 at a time. */
static void go(struct files_host *host, uint32_t fid)
{
	const char *at = deep + 3, *end;
	char names[64];
	uint32_t from = P9C_ROOT;
	unsigned i;

	while (*at) {
		for (i = 0, end = at; i < 16 && *end; i++) {
			end += strcspn(end, "/");
			end += *end == '/';
		}
		snprintf(names, sizeof(names), "%.*s", (int)(end - at), at);
		ck_assert_int_eq(p9c_walk(&host->client, from, fid, names, NULL), 0);
		from = fid;
		at = end;
	}
}

/* Decisions since *before. */
static uint64_t used(const struct files_host *host, uint64_t *before)
{
	uint64_t now = guard_uses(host->guard), since = now - *before;

	*before = now;
	return since;
}

START_TEST(a_deep_path_costs_as_many_decisions_as_a_short_one)
{
	static const struct {
		const char *what;
		unsigned most;
	} step[] = {{"open", 3}, {"read", 1}, {"set attributes", 2}, {"rename", 6}, {"link", 6}};
	struct p9_attributes attributes;
	struct files_host host;
	uint64_t count[ARRAY_SIZE(step)], mark;
	size_t n, i;
	char byte;

	make_deep();
	files_host_begin(&host, "file hide /w/**/.env\nfile write /w/**\n", false);
	make_directories(&host);
	mark = guard_uses(host.guard);
	go(&host, 2);
	/* One for each name. */
	ck_assert_uint_eq(used(&host, &mark), DEPTH + 1);
	go(&host, 3);
	go(&host, 4);
	used(&host, &mark);
	ck_assert_int_eq(p9c_open(&host.client, 2, P9_RDWR), 0);
	count[0] = used(&host, &mark);
	ck_assert_int_eq(p9c_read(&host.client, 2, 0, 1, &byte, &n), 0);
	count[1] = used(&host, &mark);
	ck_assert_int_eq(p9c_setattr(&host.client, 3, P9_SETATTR_MODE, 0600, 0), 0);
	count[2] = used(&host, &mark);
	ck_assert_int_eq(p9c_rename(&host.client, 4, P9C_ROOT, "g"), 0);
	count[3] = used(&host, &mark);
	ck_assert_int_eq(p9c_link(&host.client, P9C_ROOT, 4, "h"), 0);
	count[4] = used(&host, &mark);
	for (i = 0; i < ARRAY_SIZE(step); i++)
		ck_assert_msg(count[i] >= 1 && count[i] <= step[i].most, "%s: %lu decisions",
			      step[i].what, (unsigned long)count[i]);
	/* And it is the rules that decide: beneath what is hidden now nothing is left. */
	ck_assert_int_eq(p9c_getattr(&host.client, 3, &attributes), 0);
	files_host_replace(&host, "file read /w/a/b/**\nfile hide /w/a\nfile write /w/**\n");
	ck_assert_int_eq(p9c_read(&host.client, 2, 0, 1, &byte, &n), 0); /* it is /w/g */
	ck_assert_int_eq(p9c_try_open(&host.client, "h", P9_RDONLY), 0);
	ck_assert_int_eq(p9c_try_open(&host.client, "a/b", P9_RDONLY), ENOENT);
	files_host_end(&host);
}
END_TEST

UNIT_MAIN("guard", policies_are_replaced_while_many_decide,
	  who_replaces_does_not_wait_for_who_decides, old_policies_in_use_are_bounded,
	  one_walk_decides_as_one_for_each_directory_did, what_is_in_something_hidden_is_hidden,
	  a_deep_path_costs_as_many_decisions_as_a_short_one)
