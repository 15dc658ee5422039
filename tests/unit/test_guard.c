/* SPDX-License-Identifier: Apache-2.0 */
/* The guard under threads, and what a deep path costs. */
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

#define REPLACED 200 /* more often than there is room for old policies */
#define READERS	 3

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

static struct audit *open_log(char directory[64])
{
	static char path[96];
	const struct audit_config config = {
		.path = path,
		.file_bytes = 1ull << 30,
		.budget = {{1 << 30, 1 << 30}, {1 << 30, 1 << 30}},
	};
	struct audit *audit;

	strcpy(directory, "/tmp/cordon-guard-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/log", directory);
	ck_assert_msg(audit_open(&audit, &config, &why) == 0, "%s", why.text);
	return audit;
}

#define LINES_MAX 400000

/* The lines of a log in its files, each at its sequence number: the policy's name. */
static char (*read_log(const char *directory))[8]
{
	static char line[LINES_MAX][8];
	char path[PATH_MAX], text[4096];
	struct dirent *entry;
	const char *rule, *event;
	DIR *dir = opendir(directory);
	json_int_t at;
	json_t *json;
	FILE *file;

	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
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
	rmdir(directory);
	return line;
}

/*
 * Readers never hold up who replaces, none of 200 policies stays, and each line of the log is of
 * the policy that the last "policy-set" before it names.
 */
START_TEST(policies_are_replaced_while_many_decide)
{
	char directory[64], (*line)[8], current[8] = "p0";
	struct crowd crowd = {.length = make_deep()};
	pthread_t thread[READERS];
	unsigned i, decisions = 0, sets = 0, before;

	ck_assert_int_eq(guard_create(&crowd.guard, make(0, rules_of[0]), open_log(directory)), 0);
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
	line = read_log(directory);
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

START_TEST(replacing_does_not_wait_for_decisions)
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

#define NUMBERS 3000

struct counted {
	struct in_force force;
	atomic_bool over, wrong;
};

static void *read_numbers(void *arg)
{
	struct counted *counted = arg;
	struct held_policy held;
	uint64_t number, last = 0;

	while (!atomic_load(&counted->over)) {
		number = in_force_number(&counted->force);
		held = in_force_hold(&counted->force);
		/* It never goes back, and no policy has it before it is in force. */
		if (number < last || number > held.number)
			atomic_store(&counted->wrong, true);
		last = number;
		in_force_release(&counted->force, held);
	}
	return NULL;
}

START_TEST(a_number_is_that_of_a_policy_in_force)
{
	struct counted counted = {.over = false};
	pthread_t thread[READERS];
	unsigned i;
	int slot;

	in_force_begin(&counted.force, make(0, rules_of[0]), 0);
	for (i = 0; i < READERS; i++)
		ck_assert_int_eq(pthread_create(&thread[i], NULL, read_numbers, &counted), 0);
	for (i = 1; i <= NUMBERS; i++) {
		while ((slot = in_force_prepare(&counted.force)) < 0)
			sched_yield();
		in_force_set(&counted.force, slot, make(i % 100, rules_of[i % 2]), i);
	}
	atomic_store(&counted.over, true);
	for (i = 0; i < READERS; i++)
		pthread_join(thread[i], NULL);
	ck_assert(!atomic_load(&counted.wrong));
	ck_assert_uint_eq(in_force_number(&counted.force), NUMBERS);
	in_force_end(&counted.force);
}
END_TEST

UNIT_MAIN("guard", policies_are_replaced_while_many_decide, replacing_does_not_wait_for_decisions,
	  old_policies_in_use_are_bounded, a_number_is_that_of_a_policy_in_force)
