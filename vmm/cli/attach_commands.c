/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/attach_commands.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/base/nearest.h"
#include "vmm/cli/terminal.h"
#include "vmm/cli/verb.h"
#include "vmm/sandbox/approvals.h"

#define COMMANDS_MAX 40

/* --- the arguments of the verb ---------------------------------------------------------------- */

struct arguments {
	bool terminal; /* stdin and stdout are one */
	char *argv[WORDS_MAX + 8];
	int argc;
	char made[4096]; /* a word that was put together */
};

static void push(struct arguments *to, const char *word)
{
	to->argv[to->argc++] = (char *)(uintptr_t)word;
	to->argv[to->argc] = NULL;
}

/* The words of the line from number `at` on. */
static int push_words(struct arguments *to, const struct words *words, int at)
{
	while (at < words->count)
		push(to, words->word[at++]);
	return 0;
}

/* What follows the verb itself. Each returns 0 or -errno with a message. */

static int words_only(struct arguments *to, const char *name, const struct words *words,
		      struct err *err)
{
	(void)name;
	(void)err;
	return push_words(to, words, 1);
}

static int name_and_words(struct arguments *to, const char *name, const struct words *words,
			  struct err *err)
{
	(void)err;
	push(to, name);
	return push_words(to, words, 1);
}

/* Between two prompts a page is printed, not refreshed. */
static int once_words(struct arguments *to, const char *name, const struct words *words,
		      struct err *err)
{
	push(to, "--once");
	return name_and_words(to, name, words, err);
}

static int files_words(struct arguments *to, const char *name, const struct words *words,
		       struct err *err)
{
	push(to, "--class=file");
	return name_and_words(to, name, words, err);
}

static int exec_words(struct arguments *to, const char *name, const struct words *words,
		      struct err *err)
{
	(void)err;
	if (to->terminal)
		push(to, "-t");
	push(to, name);
	push(to, "--");
	return push_words(to, words, 1);
}

static int policy_words(struct arguments *to, const char *name, const struct words *words,
			struct err *err)
{
	(void)err;
	push(to, words->count > 1 ? words->word[1] : "show");
	push(to, name);
	return push_words(to, words, 2);
}

static bool is_number(const char *word)
{
	return word && *word && word[strspn(word, "0123456789")] == '\0';
}

/* `:allow 3 always` is `ask NAME 3 always`; `:allow net tls x:443` adds a rule. */
static int decision_words(struct arguments *to, const char *name, const struct words *words,
			  struct err *err)
{
	bool allow = strcmp(words->word[0], "allow") == 0;
	size_t used = 0;
	int i;

	if (words->count == 1)
		return err_set(err, EINVAL, ":%s: which question, or which rule? see :help",
			       words->word[0]);
	if (is_number(words->word[1])) {
		const char *how = words->count > 2 ? words->word[2] : allow ? "once" : "no";
		bool refuses = strcmp(how, "no") == 0 || strcmp(how, "never") == 0;
		bool reason = !allow && approval_reply_of(how) < 0;

		/* What follows a refusal is the reason for it. */
		if (reason)
			how = "no";
		else if ((words->count > 3 && !refuses) || refuses == allow)
			return err_set(err, EINVAL, ":%s N takes %s", words->word[0],
				       allow ? "once, session or always"
					     : "no or never, and a reason");
		push(to, name);
		push(to, words->word[1]);
		push(to, how);
		return push_words(to, words, reason ? 2 : 3);
	}
	for (i = 1; i < words->count && used < sizeof(to->made); i++)
		used += (size_t)snprintf(to->made + used, sizeof(to->made) - used, "%s%s%s",
					 i > 1 ? " " : "", words->word[i],
					 i > 1	 ? ""
					 : allow ? " allow"
						 : " deny");
	if (used >= sizeof(to->made))
		return err_set(err, E2BIG, ":%s: the rule is too long", words->word[0]);
	to->argc = 0; /* another verb */
	push(to, "policy");
	push(to, "add");
	push(to, name);
	push(to, to->made);
	return 0;
}

/* A path of the sandbox begins with ':' here, with "NAME:" for the verb. */
static int copy_words(struct arguments *to, const char *name, const struct words *words,
		      struct err *err)
{
	char *made = to->made;
	size_t room = sizeof(to->made);
	int i, length;

	for (i = 1; i < words->count; i++) {
		if (words->word[i][0] != ':') {
			push(to, words->word[i]);
			continue;
		}
		length = snprintf(made, room, "%s%s", name, words->word[i]);
		if (length < 0 || (size_t)length >= room)
			return err_set(err, E2BIG, ":cp: the paths are too long");
		push(to, made);
		made += length + 1;
		room -= (size_t)length + 1;
	}
	return 0;
}

/* --- the table -------------------------------------------------------------------------------- */

const struct attach_command attach_commands[] = {
	{"help", "[COMMAND]", "show this, or the help of a command's verb", .verb = NULL},
	{"ps", "[-a]", "list sandboxes", .verb = "ps", .make = words_only},
	{"jobs", "", "list the commands and shells of this sandbox", .verb = "ps",
	 .make = name_and_words},
	{"exec", "CMD ARGS", "run a command beside the shell", .verb = "exec", .make = exec_words},
	{"shell", "[N]", "go to another shell: a new one, or that of job N",
	 .action = ATTACH_SHELL},
	{"logs", "[JOB]", "show a detached command's output; without JOB the console",
	 .verb = "logs", .make = name_and_words},
	{"console", "", "show the guest's console", .verb = "logs", .make = name_and_words},
	{"files", "[OPTIONS]", "show what was decided about files", .verb = "audit",
	 .make = files_words},
	{"net", "", "show counters and live network flows", .verb = "stats", .make = once_words},
	{"top", "[OPTIONS]", "show processes, flows, files and denials", .verb = "top",
	 .make = name_and_words},
	{"stats", "[--json]", "show what the sandbox uses", .verb = "stats", .make = once_words},
	{"policy", "[add|undo|set ...]", "show the policy, or change it", .verb = "policy",
	 .make = policy_words},
	{"allow", "N [session|always] | RULE",
	 "approve question or proposal N, or add a rule: net tls HOST:443", .verb = "ask",
	 .make = decision_words},
	{"deny", "N [never | REASON] | RULE", "refuse question or proposal N, or add a rule",
	 .verb = "ask", .make = decision_words},
	{"why", "[SEQ]", "explain a denial", .verb = "why", .make = name_and_words},
	{"audit", "[OPTIONS]", "show what was decided", .verb = "audit", .make = name_and_words},
	{"share", "DIR", "share a directory",
	 .later = "'cordon share NAME HOST:GUEST' adds one from another terminal"},
	{"publish", "HOSTPORT:PORT", "forward a port of the host to the sandbox", .verb = "publish",
	 .make = name_and_words},
	{"cp", "FROM TO", "copy files; a path of the sandbox begins with ':'", .verb = "cp",
	 .make = copy_words},
	{"snapshot", "FILE", "save the sandbox into a file", .verb = "snapshot",
	 .make = name_and_words},
	{"fork", "[OPTIONS] N", "make N sandboxes like this one", .verb = "fork",
	 .make = name_and_words},
	{"diff", "", "show changed files",
	 .later = "see ':audit --class file' for what was written"},
	{"pause", "", "stop the sandbox's processors", .verb = "pause", .make = name_and_words},
	{"resume", "", "resume it", .verb = "resume", .make = name_and_words},
	{"detach", "", "leave, and leave the shell running (also Ctrl-])", .action = ATTACH_DETACH},
	{"quit", "", "end the shell and leave", .action = ATTACH_QUIT},
	{.name = NULL},
};

const struct attach_command *attach_command_find(const char *name)
{
	const struct attach_command *command;

	for (command = attach_commands; command->name; command++)
		if (strcmp(command->name, name) == 0)
			return command;
	return NULL;
}

/* --- running it ------------------------------------------------------------------------------- */

/* Ctrl-C was for the verb, not for a program of the guest as well. */
static void drop_keys(void)
{
	const struct timespec now = {0};
	sigset_t keys;

	sigemptyset(&keys);
	sigaddset(&keys, SIGINT);
	sigaddset(&keys, SIGQUIT);
	while (sigtimedwait(&keys, NULL, &now) > 0)
		;
}

/* Waits for the end of the verb's process; its status as of waitpid(2). */
static int wait_for(pid_t child, const struct attach_idle *idle)
{
	int child_fd = idle ? (int)syscall(SYS_pidfd_open, child, 0) : -1, status = 0;
	struct pollfd ready[2] = {
		{.fd = child_fd, .events = POLLIN},
		{.fd = idle ? idle->fd : -1, .events = POLLIN},
	};

	while (child_fd >= 0 && !(ready[0].revents & POLLIN)) {
		if (poll(ready, 2, -1) > 0 && ready[1].revents && !idle->ready(idle->arg))
			ready[1].fd = -1;
	}
	fd_close(&child_fd);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

/* In a process of its own, so that whatever the verb does to signals and memory stays there. */
static int run_verb(const struct verb *verb, struct arguments *arguments,
		    const struct attach_idle *idle)
{
	sigset_t none;
	pid_t child;
	int status = 0, null;

	fflush(stdout);
	if (idle)
		terminal_lend();
	child = fork();
	if (child == 0) {
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		/* The rest of a script is not for a command of the guest. */
		null = idle ? -1 : open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (null >= 0)
			dup2(null, STDIN_FILENO);
		status = verb_main(verb, arguments->argc, arguments->argv);
		_exit(fflush(stdout) == 0 ? status : EXIT_CORDON);
	}
	if (child > 0)
		status = wait_for(child, idle);
	else
		log_error("fork: %s", strerror(errno));
	if (idle)
		terminal_take_back();
	if (child < 0)
		return EXIT_CORDON;
	drop_keys();
	return exit_status(WEXITSTATUS(status), WIFSIGNALED(status) ? WTERMSIG(status) : 0);
}

static void print_help(void)
{
	const struct attach_command *command;
	char usage[64];

	printf("A line runs in the sandbox's shell, but for these:\n\n");
	for (command = attach_commands; command->name; command++) {
		snprintf(usage, sizeof(usage), ":%s %s", command->name, command->arguments);
		printf("  %-34s %s%s\n", usage, command->help,
		       command->later ? " (not there yet)" : "");
	}
	printf("\nCtrl-] detaches, at any time. Ctrl-^ takes such a line while a program runs.\n");
}

static int help(const struct words *words, const struct attach_idle *idle)
{
	const struct attach_command *command;
	struct arguments arguments = {.argc = 0};

	if (words->count == 1) {
		print_help();
		return 0;
	}
	command = attach_command_find(words->word[1] + (words->word[1][0] == ':'));
	if (!command) {
		log_error(":help: there is no command :%s", words->word[1]);
		return EXIT_CORDON;
	}
	printf(":%s %s\n  %s\n", command->name, command->arguments, command->help);
	if (command->later)
		printf("  Not there yet: %s.\n", command->later);
	if (!command->verb)
		return 0;
	putchar('\n');
	push(&arguments, "help");
	push(&arguments, command->verb);
	return run_verb(&verb_help, &arguments, idle);
}

static int refuse_unknown(const char *name)
{
	const char *names[COMMANDS_MAX], *near;
	size_t count = 0;

	for (; attach_commands[count].name; count++)
		names[count] = attach_commands[count].name;
	near = nearest_word(name, names, count);
	if (near)
		log_error("there is no command :%s: did you mean :%s?", name, near);
	else
		log_error("there is no command :%s: see :help", name);
	return EXIT_CORDON;
}

static int run(const struct attach_command *command, const char *name,
	       const struct attach_idle *idle, const struct words *words)
{
	struct arguments arguments = {.terminal = idle != NULL};
	const struct verb *verb;
	struct err err;

	if (command->later) {
		log_error(":%s is not there yet: %s", command->name, command->later);
		return EXIT_CORDON;
	}
	if (!command->verb)
		return help(words, idle);
	push(&arguments, command->verb);
	if (command->make(&arguments, name, words, &err) < 0) {
		log_error("%s", err.text);
		return EXIT_CORDON;
	}
	verb = verb_find(arguments.argv[0]);
	return verb ? run_verb(verb, &arguments, idle) : refuse_unknown(command->name);
}

enum attach_action attach_command_run(const char *name, const char *line,
				      const struct attach_idle *idle, struct words *words,
				      int *status)
{
	const struct attach_command *command;
	struct err err;

	*status = EXIT_CORDON;
	if (words_split(words, line + 1, &err) < 0) {
		log_error("%s", err.text);
		return ATTACH_NONE;
	}
	if (words->count == 0) {
		log_error("which command? see :help");
		return ATTACH_NONE;
	}
	command = attach_command_find(words->word[0]);
	if (!command) {
		*status = refuse_unknown(words->word[0]);
		return ATTACH_NONE;
	}
	if (command->action != ATTACH_NONE) {
		*status = 0;
		return command->action;
	}
	*status = run(command, name, idle, words);
	return ATTACH_NONE;
}
