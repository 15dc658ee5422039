/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cordon bench: checks the options and becomes the benchmark harness, a Python program. It is in
 * bench/ beside the program in a build directory, and in ../lib/cordon/bench of an installed one.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/cli/verb.h"
#include "vmm/launch/guest_files.h"

#define SUITES_MAX 16
#define ARGS_MAX   (SUITES_MAX + 24)
#define TEXT_MAX   (PATH_MAX + 16)

struct bench_options {
	bool quick, json, lab;
	const char *out, *compare, *peers, *read, *doc;
};

static const struct option_entry entries[] = {
	{"quick", 0, OPTION_FLAG, NULL, "fewer samples and smaller amounts: about 2 minutes",
	 .offset = offsetof(struct bench_options, quick)},
	{"json", 0, OPTION_FLAG, NULL, "print results.json instead of the table",
	 .offset = offsetof(struct bench_options, json)},
	{"out", 0, OPTION_STRING, "DIR",
	 "write results and reports to DIR (default: cordon-bench-DATE-TIME)",
	 .offset = offsetof(struct bench_options, out)},
	{"compare", 0, OPTION_STRING, "OLD.json",
	 "say which rows changed since an older results.json; exit status 1 if one got worse",
	 .offset = offsetof(struct bench_options, compare)},
	{"peers", 0, OPTION_STRING, "LIST",
	 "of the suite `peers` only these, with commas between; `none` for none",
	 .offset = offsetof(struct bench_options, peers)},
	{"lab", 0, OPTION_FLAG, NULL,
	 "also count instructions and run the peers in the lab, an emulated machine (source tree "
	 "only)",
	 .offset = offsetof(struct bench_options, lab)},
	{"read", 0, OPTION_STRING, "RESULTS.json",
	 "measure nothing: print, compare and report what a results.json holds",
	 .offset = offsetof(struct bench_options, read)},
	{"doc", 0, OPTION_STRING, "FILE",
	 "write the table between the marks in a Markdown file, and plots beside it",
	 .offset = offsetof(struct bench_options, doc)},
};

static const struct option_table table = {"Options", entries, ARRAY_SIZE(entries)};
static const struct option_table *const tables[] = {&table, NULL};

/* The harness's command line: `--NAME=VALUE`, so that no value is taken for an option. */
struct command {
	char text[ARGS_MAX][TEXT_MAX];
	char *argv[ARGS_MAX + 1];
	int count;
};

static void add(struct command *command, const char *name, const char *value)
{
	char *text = command->text[command->count];

	if (!value)
		return;
	snprintf(text, TEXT_MAX, "%s%s", name, value);
	command->argv[command->count++] = text;
}

static int add_options(struct command *command, const struct bench_options *options,
		       struct err *err)
{
	const struct {
		const char *name, *value;
	} values[] = {
		{"--out=", options->out},     {"--compare=", options->compare},
		{"--peers=", options->peers}, {"--read=", options->read},
		{"--doc=", options->doc},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(values); i++) {
		if (values[i].value && strlen(values[i].value) >= PATH_MAX)
			return err_set(err, EINVAL, "bench: the value of %.*s is too long",
				       (int)strlen(values[i].name) - 1, values[i].name);
		add(command, values[i].name, values[i].value);
	}
	add(command, "--quick", options->quick ? "" : NULL);
	add(command, "--json", options->json ? "" : NULL);
	add(command, "--lab", options->lab ? "" : NULL);
	return 0;
}

static int add_suites(struct command *command, const struct option_set *set, int argc, char **argv,
		      struct err *err)
{
	static const struct verb_words words = {&verb_bench, NULL, 0, SUITES_MAX, NULL};
	int i, count = verb_words(&words, set, 1, argc, argv, err);

	for (i = 1; i <= count; i++) {
		if (strlen(argv[i]) >= TEXT_MAX)
			return verb_usage_error(&verb_bench, NULL, "no such suites", err);
		add(command, argv[i], "");
	}
	return count < 0 ? count : 0;
}

static int run(int argc, char **argv, struct err *err)
{
	static struct command command;
	static char harness[PATH_MAX], program[PATH_MAX];
	struct bench_options options = {.quick = false};
	const struct option_set set = {&table, &options};
	int ret;

	ret = find_installed_file(".", "bench/python/main.py", harness, err);
	if (ret < 0)
		return ret;
	if (!realpath("/proc/self/exe", program))
		return err_sys(err, "/proc/self/exe");
	add(&command, "python3", "");
	/* Neither the user's modules nor PYTHON... variables: the harness brings all it needs. */
	add(&command, "-EsB", "");
	add(&command, harness, "");
	add(&command, "--cordon=", program);
	*strstr(harness, "/python/main.py") = '\0';
	add(&command, "--programs=", harness);
	add(&command, "--version=", CORDON_VERSION);
	ret = add_suites(&command, &set, argc, argv, err);
	if (ret == 0)
		ret = add_options(&command, &options, err);
	if (ret < 0)
		return ret;
	execvp("python3", command.argv);
	if (errno == ENOENT)
		return err_set(err, ENOENT,
			       "bench: python3 is not installed: Debian has it in python3");
	return err_sys(err, "python3");
}

const struct verb verb_bench = {
	.name = "bench",
	.group = VERB_HOST,
	.usage = "[--quick] [--json] [--out DIR] [--compare OLD.json] [--peers LIST|none] [SUITE "
		 "...]",
	.summary = "measure starts, throughput, density, and other sandboxes on this host",
	.description =
		"Measures this host, and prints a table: for each row the median of its samples, "
		"and "
		"the value that 90 and 99 % of them keep within. Suites are `start`, `throughput`, "
		"`density`, `peers`, and `counts`, which needs the source tree; without a name, "
		"all "
		"but `counts`. It takes up to 20 minutes, with `--quick` about 2. Where something "
		"is "
		"missing, its row says what, and the rest goes on.\n"
		"\n"
		"All samples and the facts about the host are in results.json in the directory of "
		"`--out`, the table and plots in report.md and report.html there. Templates, "
		"sandboxes "
		"and logs of your own are not touched.\n"
		"\n"
		"A sample that was taken while other work kept the host busy is marked, and taken "
		"again. Ctrl-C ends the run and keeps what was measured.",
	.options = tables,
	.notes =
		"`--compare` uses a permutation test: a row has changed if p is below 0.01 and the "
		"medians differ by more than 5 %. Runs are comparable only on one host, both with "
		"`--quick` or both without.\n"
		"\n"
		"It needs python3, and gnuplot for the plots.",
	.examples = "  cordon bench --quick\n"
		    "  cordon bench --out before start\n"
		    "  cordon bench --out after --compare before/results.json start",
	.exit_status = "0; 1 if `--compare` found a row that got worse; 125 if nothing could be "
		       "measured or saved; 130 after Ctrl-C.",
	.see_also = "doctor stats",
	.run = run,
};
