/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cost of a policy decision in nanoseconds, with rule sets of several shapes, and with its
 * audit line.
 *
 *     build/bench/policy [DECISIONS]     (200000)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/policy/audit.h"

#define TEXT_MAX POLICY_FILE_MAX

static const char *const paths[] = {
	"/workspace/src/module/deep/er/file.c",
	"/workspace/dir500/include/header.h",
	"/workspace/node_modules/a/lib/b/index.js",
	"/workspace/.git/objects/ab/cdef0123456789",
	"/workspace/README.md",
	"/workspace/secret999/key.ext321",
	"/usr/lib/python3/dist-packages/x.py",
	"/workspace/a/b/c/d/e/f/g/h/i/j/k/l/m",
};

static double now(void)
{
	struct timespec time;

	/* Processor time: the host may be busy. */
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static struct policy *make(const char *shape, unsigned rules)
{
	static char text[TEXT_MAX];
	struct policy_source source = {.name = shape, .directory = "/", .lenient = true};
	size_t used = (size_t)sprintf(text, "policy 1\nshare /x /workspace\n");
	struct policy *policy;
	struct err err;
	unsigned i;

	for (i = 0; i + 1 < rules; i++) {
		if (strcmp(shape, "folders") == 0)
			used += (size_t)sprintf(text + used, "file read /workspace/dir%u/**\n", i);
		else if (strcmp(shape, "anywhere") == 0)
			used += (size_t)sprintf(text + used, "file read /workspace/**/name%u\n", i);
		else if (strcmp(shape, "endings") == 0)
			used += (size_t)sprintf(text + used, "file read /workspace/**/*.ext%u\n",
						i);
		else if (strcmp(shape, "mixed") == 0)
			used += (size_t)sprintf(text + used,
						i % 3 == 0   ? "file read /workspace/dir%u/**\n"
						: i % 3 == 1 ? "file hide /workspace/**/secret%u\n"
							     : "file read /workspace/**/*.ext%u\n",
						i);
		else
			used += (size_t)sprintf(text + used, "file read /workspace/**/*%05ua*b*\n",
						i);
	}
	used += (size_t)sprintf(text + used, "file write /workspace/**\n");
	if (policy_parse(&policy, text, used, &source, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
	return policy;
}

static double measure(const struct policy *policy, unsigned long decisions)
{
	struct policy_request request = {.class = POLICY_FILE, .op = POLICY_WRITE};
	struct policy_decision decision;
	size_t length[ARRAY_SIZE(paths)], k;
	unsigned long i, allowed = 0;
	double began;

	for (k = 0; k < ARRAY_SIZE(paths); k++)
		length[k] = strlen(paths[k]);
	began = now();
	/* Slow shapes get fewer decisions. */
	for (i = 0; i < decisions && (i % 64 || now() - began < 2e8); i++) {
		request.object = paths[i % ARRAY_SIZE(paths)];
		request.length = length[i % ARRAY_SIZE(paths)];
		policy_decide(policy, &request, &decision);
		allowed += decision.verdict == POLICY_ALLOW;
	}
	if (allowed == 0)
		abort();
	return (now() - began) / (double)i;
}

#define DEPTH 1900

/*
 * Decides on a path of many components as the file server does, where hidden directories on the way
 * count: in one walk, and for comparison with one decision for each component.
 */
static double measure_deep(const struct policy *policy, unsigned long decisions, bool each)
{
	static char path[2 * DEPTH + 16];
	struct policy_request request = {.class = POLICY_FILE, .op = POLICY_WRITE, .object = path};
	struct policy_request above = {.class = POLICY_FILE, .op = POLICY_LOOKUP, .object = path};
	struct policy_decision decision;
	size_t used = (size_t)sprintf(path, "/workspace");
	unsigned long i, allowed = 0;
	double began;

	for (i = 0; i < DEPTH; i++)
		used += (size_t)sprintf(path + used, "/%c", (char)('a' + i % 26));
	request.length = used;
	request.root = each ? 0 : strlen("/workspace");
	began = now();
	for (i = 0; i < decisions; i++) {
		above.length = strlen("/workspace") + 2;
		for (; each && above.length < used; above.length += 2)
			policy_decide(policy, &above, &decision);
		policy_decide(policy, &request, &decision);
		allowed += decision.verdict == POLICY_ALLOW;
	}
	if (allowed != decisions)
		abort();
	return (now() - began) / (double)decisions;
}

/* Guard and audit log: the cost of an allowed open, without the log's rate limit. */
static double measure_logged(struct policy *policy, unsigned long decisions)
{
	char directory[] = "/tmp/cordon-bench-XXXXXX", path[64], denials[80];
	const struct audit_config config = {
		.path = path,
		.budget = {{1 << 30, 1 << 30}},
		.files = 1,
	};
	struct policy_request request = {.class = POLICY_FILE, .op = POLICY_WRITE};
	struct audit *audit;
	struct guard *guard;
	unsigned long i;
	struct err err;
	double began;

	if (!mkdtemp(directory))
		abort();
	snprintf(path, sizeof(path), "%s/log", directory);
	snprintf(denials, sizeof(denials), "%s.denials", path);
	if (audit_open(&audit, &config, &err) < 0 || guard_create(&guard, policy, audit) < 0)
		abort();
	request.object = paths[0];
	request.length = strlen(paths[0]);
	began = now();
	for (i = 0; i < decisions; i++)
		guard_check(guard, &request, NULL);
	began = now() - began;
	guard_destroy(guard);
	unlink(path);
	unlink(denials);
	rmdir(directory);
	return began / (double)decisions;
}

int main(int argc, char **argv)
{
	static const char *const shapes[] = {"folders", "anywhere", "endings", "mixed", "stars"};
	static const unsigned counts[] = {1, 10, 100, 1000, 4000};
	unsigned long decisions = argc > 1 ? strtoul(argv[1], NULL, 10) : 200000;
	struct policy *policy;
	double began, once, each;
	size_t i, k;

	printf("%-10s", "rules");
	for (k = 0; k < ARRAY_SIZE(counts); k++)
		printf("%10u", counts[k]);
	printf("   ns a decision\n");
	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		printf("%-10s", shapes[i]);
		for (k = 0; k < ARRAY_SIZE(counts); k++) {
			policy = make(shapes[i], counts[k]);
			printf("%10.0f", measure(policy, decisions));
			policy_free(policy);
		}
		printf("\n");
		fflush(stdout);
	}
	began = now();
	policy = make("mixed", 1000);
	printf("reading a policy of 1000 rules: %.1f ms\n", (now() - began) / 1e6);
	once = measure_deep(policy, decisions / 1000 + 1, false);
	each = measure_deep(policy, decisions / 20000 + 1, true);
	printf("a path of %d components: %.0f us in one walk, %.0f us directory by directory (%.0f "
	       "times)\n",
	       DEPTH, once / 1e3, each / 1e3, each / once);
	printf("a decision with its audit line: %.0f ns\n",
	       measure_logged(policy, decisions / 10 + 1));
	return 0;
}
