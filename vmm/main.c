/* SPDX-License-Identifier: Apache-2.0 */
/* cordon: the table of verbs. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/log.h"
#include "vmm/base/nearest.h"
#include "vmm/cli/cli.h"
#include "vmm/revision.h"

static int cmd_help(int argc, char **argv);
static int cmd_version(int argc, char **argv);

const struct verb verbs[] = {
	{"run", "[options] -- CMD ARGS", "boot a sandbox, run one command in it, and end it",
	 cmd_run, help_run},
	{"start", "[options] NAME", "boot a sandbox that stays", cmd_start, help_start},
	{"exec", "[options] NAME -- CMD ARGS", "run a command in it", cmd_exec, help_exec},
	{"cp", "NAME:PATH PATH|- | PATH|- NAME:PATH",
	 "copy files out of it or into it; - is a tar stream", cmd_cp, NULL},
	{"ps", "[-a] [--json]", "list the sandboxes that run, and with -a those that have ended",
	 cmd_ps, help_ps},
	{"stats", "[--json] NAME", "show what a sandbox uses", cmd_stats, help_stats},
	{"logs", "NAME [JOB]", "show its console, or a detached command's output", cmd_logs, NULL},
	{"pause", "NAME", "stop its processors", cmd_pause, NULL},
	{"resume", "NAME", "let them go on", cmd_resume, NULL},
	{"snapshot", "NAME FILE", "save it into a file", cmd_snapshot, NULL},
	{"restore", "[options] FILE NAME", "start a sandbox from such a file", cmd_restore,
	 help_restore},
	{"fork", "[options] NAME N", "make N sandboxes like it, NAME-1 to NAME-N", cmd_fork,
	 help_fork},
	{"stop", "NAME", "end its commands and switch it off", cmd_stop, NULL},
	{"kill", "NAME", "end it at once", cmd_kill, NULL},
	{"rm", "NAME ...", "remove the records of sandboxes that have ended", cmd_rm, NULL},
	{"prune", "", "remove the records of all that have ended", cmd_prune, NULL},
	{"wait", "NAME", "wait until it has ended, and say why if it failed", cmd_wait, NULL},
	{"policy", "check | explain | presets | ...", "look at policies, and set one", cmd_policy,
	 help_policy},
	{"audit", "[options] NAME | --last", "show what was decided in a sandbox", cmd_audit,
	 help_audit},
	{"why", "NAME [SEQ] | --last [SEQ]", "explain a denial: the rule, and what to change",
	 cmd_why, help_why},
	{"ask", "[--json] NAME [N ANSWER]", "decide what its policy leaves to a person", cmd_ask,
	 help_ask},
	{"template", "ls | rm NAME | prune", "the cache of booted guests", cmd_template, NULL},
	{"image", "ls | build PATH | rm NAME", "the cache of unpacked OCI images", cmd_image,
	 help_image},
	{"doctor", "[--json]", "say what this host can do, and what to change", cmd_doctor, NULL},
	{"help", "[VERB]", "show this, or the options of a verb", cmd_help, NULL},
	{"version", "", "print the version", cmd_version, NULL},
	{NULL, NULL, NULL, NULL, NULL},
};

static const struct verb *find_verb(const char *name)
{
	const struct verb *verb;

	for (verb = verbs; verb->name; verb++)
		if (strcmp(verb->name, name) == 0)
			return verb;
	return NULL;
}

static int unknown_verb(const char *name)
{
	const char *names[ARRAY_SIZE(verbs)], *near;
	size_t count = 0;

	for (; verbs[count].name; count++)
		names[count] = verbs[count].name;
	near = nearest_word(name, names, count);
	if (near)
		log_error("unknown command '%s': did you mean '%s'?", name, near);
	else
		log_error("unknown command '%s': see 'cordon help'", name);
	return EXIT_CORDON;
}

static void print_overview(FILE *to)
{
	const struct verb *verb;
	char left[64];

	fputs("Usage: cordon COMMAND\n\nRuns untrusted code in a disposable virtual machine.\n\n",
	      to);
	for (verb = verbs; verb->name; verb++) {
		snprintf(left, sizeof(left), "%s %s", verb->name, verb->arguments);
		fprintf(to, "  cordon %-30s %s\n", left, verb->summary);
	}
	fputs("\nExit status of run: the command's own; 128+N if signal N ended it; 124 after\n"
	      "--timeout; 125 if Cordon failed; 126 not executable; 127 not found.\n"
	      "More: cordon help run, man cordon.\n",
	      to);
}

static int cmd_help(int argc, char **argv)
{
	const struct verb *verb;

	if (argc < 2) {
		print_overview(stdout);
		return 0;
	}
	verb = find_verb(argv[1]);
	if (!verb)
		return unknown_verb(argv[1]);
	printf("Usage: cordon %s %s\n\n%s.\n", verb->name, verb->arguments, verb->summary);
	if (verb->help)
		verb->help();
	return 0;
}

static int cmd_version(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	printf("cordon %s (%s)\n", CORDON_VERSION, cordon_revision);
	return 0;
}

/*
 * Descriptors 0 to 2 must be taken, or the next file opened would become somebody's output. Where
 * one is closed, reads and writes fail as before: the stand-in is open the other way round.
 */
static void fill_standard_descriptors(void)
{
	int fd;

	for (fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

int main(int argc, char **argv)
{
	const struct verb *verb;
	int status;

	fill_standard_descriptors();
	signal(SIGPIPE, SIG_IGN);
	/* A write beyond RLIMIT_FSIZE fails (EFBIG) and does not end the monitor with its sandbox.
	 */
	signal(SIGXFSZ, SIG_IGN);
	if (argc < 2) {
		print_overview(stderr);
		return EXIT_CORDON;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		argv[1] = "help";
	if (strcmp(argv[1], "--version") == 0)
		argv[1] = "version";
	verb = find_verb(argv[1]);
	if (!verb)
		return unknown_verb(argv[1]);
	if (argc == 3 && strcmp(argv[2], "--help") == 0) {
		argv[0] = "help";
		status = cmd_help(2, argv);
	} else {
		status = verb->run(argc - 1, argv + 1);
	}
	if (fflush(stdout) != 0 && status == 0) {
		log_error("stdout: %s", strerror(errno));
		status = EXIT_CORDON;
	}
	return status;
}
