/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cost of a policy decision in each class, with rule sets of several shapes and sizes:
 * processor time. With `log`, of reading a policy, and decisions a second with their lines in the
 * audit log. Prints a line `ID VALUE UNIT` a figure.
 *
 *     policy [DECISIONS [log]]     (200000)
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
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

static struct policy *parse(const char *name, const char *text, size_t length)
{
	struct policy_source source = {.name = name, .directory = "/", .lenient = true};
	struct policy *policy;
	struct err err;

	if (policy_parse(&policy, text, length, &source, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
	return policy;
}

/* --- files and programs ----------------------------------------------------------------------- */

/* Forms of rules: the i-th rule of a shape has form i modulo their number. */
static const struct shape {
	const char *name, *form[3];
	unsigned forms;
} shapes[] = {
	{"folders", {"file read /workspace/dir%u/**\n"}, 1},
	{"anywhere", {"file read /workspace/**/name%u\n"}, 1},
	{"endings", {"file read /workspace/**/*.ext%u\n"}, 1},
	{"mixed",
	 {"file read /workspace/dir%u/**\n", "file hide /workspace/**/secret%u\n",
	  "file read /workspace/**/*.ext%u\n"},
	 3},
	{"stars", {"file read /workspace/**/*%05ua*b*\n"}, 1},
};
static const struct shape programs = {"exec",
				      {"exec deny /usr/bin/tool%u\n",
				       "exec allow /opt/product%u/**\n",
				       "exec deny /workspace/**/hook%u\n"},
				      3};
#define MIXED 3
#define MANY  1000u

static const char *const program_paths[] = {
	"/usr/bin/python3.11",
	"/usr/lib/x86_64-linux-gnu/libc.so.6",
	"/usr/bin/tool77",
	"/workspace/node_modules/.bin/tsc",
	"/usr/lib/git-core/git-remote-https",
};

/* The last rule allows. */
static struct policy *make(const struct shape *shape, unsigned rules)
{
	static char text[TEXT_MAX];
	size_t used = (size_t)sprintf(text, "policy 1\nshare /x /workspace\n");
	unsigned i;

	for (i = 0; i + 1 < rules; i++)
		used += (size_t)sprintf(text + used, shape->form[i % shape->forms], i);
	if (shape == &programs)
		used += (size_t)sprintf(text + used, "exec allow /usr/**\n");
	used += (size_t)sprintf(text + used, "file write /workspace/**\n");
	return parse(shape->name, text, used);
}

/* Decides about the requests in turn: nanoseconds each. Slow rules get fewer decisions. */
static double measure(const struct policy *policy, struct policy_request *requests, size_t count,
		      unsigned long decisions)
{
	struct policy_decision decision;
	unsigned long i, allowed = 0;
	double began = now();

	for (i = 0; i < decisions && (i % 64 || now() - began < 1e8); i++) {
		policy_decide(policy, &requests[i % count], &decision);
		allowed += decision.verdict == POLICY_ALLOW;
	}
	if (allowed == 0)
		abort();
	return (now() - began) / (double)i;
}

static double measure_paths(const struct shape *shape, unsigned rules, unsigned long decisions)
{
	bool exec = shape == &programs;
	const char *const *path = exec ? program_paths : paths;
	size_t count = exec ? ARRAY_SIZE(program_paths) : ARRAY_SIZE(paths), k;
	struct policy_request requests[ARRAY_SIZE(paths)];
	struct policy *policy = make(shape, rules);
	double took;

	for (k = 0; k < count; k++)
		requests[k] = (struct policy_request){.class = exec ? POLICY_EXEC : POLICY_FILE,
						      .op = exec ? POLICY_RUN : POLICY_WRITE,
						      .object = path[k],
						      .length = strlen(path[k])};
	took = measure(policy, requests, count, decisions);
	policy_free(policy);
	return took;
}

/* --- network and system calls ----------------------------------------------------------------- */

/* Connections by name and by address. The last rules allow. */
static double measure_net(unsigned rules, unsigned long decisions)
{
	static const char *const form[] = {
		"net allow tls api%u.example.com:443\n", "net allow tls *.zone%u.example.org:443\n",
		"net allow tcp host%u.example.net:22\n", "net deny tcp 100.%u.%u.0/24:5432\n"};
	static char text[TEXT_MAX];
	struct policy_request requests[2] = {
		{.class = POLICY_NET,
		 .op = POLICY_CONNECT,
		 .net = {.protocol = POLICY_TCP,
			 .family = AF_INET,
			 .address = {93, 184, 216, 34},
			 .port = 80}},
		{.class = POLICY_NET,
		 .op = POLICY_CONNECT,
		 .net = {.protocol = POLICY_TLS,
			 .name = "files.example.com",
			 .family = AF_INET,
			 .address = {93, 184, 216, 35},
			 .port = 443}},
	};
	size_t used = (size_t)sprintf(text, "policy 1\n");
	struct policy *policy;
	double took;
	unsigned i;

	for (i = 0; i + 2 < rules; i++)
		used += (size_t)sprintf(text + used, form[i % 4], i % 4 == 3 ? i / 1024 : i,
					i / 4 % 256);
	used += (size_t)sprintf(text + used, "net allow tcp 93.184.0.0/16:80\n"
					     "net allow tls *.example.com:443\n");
	policy = parse("net", text, used);
	took = measure(policy, requests, ARRAY_SIZE(requests), decisions);
	policy_free(policy);
	return took;
}

static double measure_process(unsigned long decisions)
{
	static const char text[] = "policy 1\nprocess allow ptrace\nprocess deny userns clock\n";
	static const char *const groups[] = {"ptrace", "userns", "clock"};
	struct policy_request requests[ARRAY_SIZE(groups)];
	struct policy *policy = parse("process", text, strlen(text));
	double took;
	size_t k;

	for (k = 0; k < ARRAY_SIZE(groups); k++)
		requests[k] = (struct policy_request){.class = POLICY_PROCESS,
						      .op = POLICY_USE,
						      .object = groups[k],
						      .length = strlen(groups[k])};
	took = measure(policy, requests, ARRAY_SIZE(groups), decisions);
	policy_free(policy);
	return took;
}

/* --- deep paths and the audit log ------------------------------------------------------------- */

#define DEPTH 1900

/* Decides on a path of many components as the file server does, hidden directories included. */
static double measure_deep(unsigned long decisions)
{
	static char path[2 * DEPTH + 16];
	struct policy_request request = {.class = POLICY_FILE, .op = POLICY_WRITE, .object = path};
	struct policy *policy = make(&shapes[MIXED], MANY);
	size_t used = (size_t)sprintf(path, "/workspace"), i;
	double took;

	for (i = 0; i < DEPTH; i++)
		used += (size_t)sprintf(path + used, "/%c", (char)('a' + i % 26));
	request.length = used;
	request.root = strlen("/workspace");
	took = measure(policy, &request, 1, decisions);
	policy_free(policy);
	return took;
}

/* Wall-clock seconds. */
static double wall(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Guard and audit log: allowed opens a second with a line each, without the log's rate limit. */
static double measure_logged(struct policy *policy, unsigned long decisions)
{
	const char *tmp = getenv("TMPDIR");
	char directory[512], path[600], denials[640];
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

	snprintf(directory, sizeof(directory), "%s/cordon-bench-XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(directory)) {
		perror(directory);
		exit(1);
	}
	snprintf(path, sizeof(path), "%s/log", directory);
	snprintf(denials, sizeof(denials), "%s.denials", path);
	if (audit_open(&audit, &config, &err) < 0 || guard_create(&guard, policy, audit) < 0)
		abort();
	request.object = paths[0];
	request.length = strlen(paths[0]);
	began = wall();
	for (i = 0; i < decisions; i++)
		guard_check(guard, &request, NULL);
	began = wall() - began;
	guard_destroy(guard);
	unlink(path);
	unlink(denials);
	rmdir(directory);
	return (double)decisions / began;
}

static void show(const char *id, unsigned rules, double ns)
{
	if (rules > 0)
		printf("%s.%u %.6g ns\n", id, rules, ns);
	else
		printf("%s %.6g ns\n", id, ns);
	fflush(stdout);
}

static void decision_figures(unsigned long decisions)
{
	static const unsigned counts[] = {1, 10, 100, MANY, 4000};
	unsigned many;
	char id[64];
	size_t i, k;

	for (k = 0; k < ARRAY_SIZE(counts); k++)
		show("file.mixed", counts[k], measure_paths(&shapes[MIXED], counts[k], decisions));
	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		snprintf(id, sizeof(id), "file.%s", shapes[i].name);
		if (i != MIXED)
			show(id, MANY, measure_paths(&shapes[i], MANY, decisions));
	}
	show("file.deep", 0, measure_deep(decisions / 1000 + 1));
	for (many = 1; many <= MANY; many *= MANY) {
		show("net", many, measure_net(many, decisions));
		show("exec", many, measure_paths(&programs, many, decisions));
	}
	show("process", 0, measure_process(decisions));
}

static void log_figures(unsigned long decisions)
{
	double began = now();
	struct policy *policy = make(&shapes[MIXED], MANY);

	printf("read.%u %.6g ms\n", MANY, (now() - began) / 1e6);
	printf("audit %.6g 1/s\n", measure_logged(policy, decisions / 10 + 1));
}

int main(int argc, char **argv)
{
	unsigned long decisions = argc > 1 ? strtoul(argv[1], NULL, 10) : 200000;

	if (decisions == 0 || argc > 3 || (argc == 3 && strcmp(argv[2], "log") != 0))
		return 2;
	if (argc == 3)
		log_figures(decisions);
	else
		decision_figures(decisions);
	return 0;
}
