/* SPDX-License-Identifier: Apache-2.0 */
/* cordon attach: the prompt of a running sandbox, and lines from a script. */
#include "vmm/cli/attach.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/log.h"
#include "vmm/cli/attach_commands.h"
#include "vmm/cli/attach_encode.h"
#include "vmm/cli/attach_script.h"
#include "vmm/cli/terminal.h"
#include "vmm/cli/verb.h"
#include "vmm/control/registry.h"

static const struct option_entry entries[] = {
	{"command", 'c', OPTION_STRING, "LINE", "run LINE instead of lines of standard input",
	 .offset = offsetof(struct attach_options, line)},
	{"new", 0, OPTION_FLAG, NULL, "start a new shell, even if there is a detached one",
	 .offset = offsetof(struct attach_options, fresh)},
	{"session", 0, OPTION_NUMBER, "N", "attach to the shell that is job N",
	 .offset = offsetof(struct attach_options, session), .low = 1, .high = INT32_MAX},
};

static const struct option_table table = {"Options", entries, ARRAY_SIZE(entries)};

/* --- lines of a script ------------------------------------------------------------------------ */

/* Runs one line. Returns 1 if it was the last one. */
static int run_line(struct script *script, const char *line, int *status, struct err *err)
{
	enum attach_action action;
	struct words words;
	int ret;

	/* Also within a command of several lines: only the guest says that there is one. */
	if (line[0] == ':') {
		action = attach_command_run(script->name, line, NULL, &words, status);
		words_free(&words);
		if (action == ATTACH_SHELL) {
			log_error(":shell needs a terminal");
			*status = EXIT_CORDON;
		}
		return action == ATTACH_DETACH || action == ATTACH_QUIT;
	}
	ret = script_run(script, line, err);
	*status = script->status;
	if (ret < 0)
		return ret;
	return script->ended;
}

static int check_line(const char *line, size_t length, unsigned number, struct err *err)
{
	if (strlen(line) != length)
		return err_set(err, EINVAL, "attach: line %u contains a NUL byte", number);
	if (length > ENCODE_LINE_MAX)
		return err_set(err, E2BIG, "attach: line %u has %zu bytes, at most %d fit", number,
			       length, ENCODE_LINE_MAX);
	return 0;
}

static int run_lines(struct script *script, FILE *from, int *status, struct err *err)
{
	unsigned number = 0;
	char *line = NULL;
	size_t size = 0;
	ssize_t length;
	int ret = 0;

	while (ret == 0 && (length = getline(&line, &size, from)) >= 0) {
		if (length > 0 && line[length - 1] == '\n')
			line[--length] = '\0';
		ret = check_line(line, (size_t)length, ++number, err);
		if (ret == 0)
			ret = run_line(script, line, status, err);
	}
	free(line);
	if (ret == 0 && script->more) {
		ret = script_finish(script, err);
		*status = script->status;
	}
	return ret < 0 ? ret : 0;
}

static int run_script(const struct attach_options *options, struct err *err)
{
	FILE *from = stdin;
	struct script script;
	int status = 0, ret;
	pid_t monitor;

	if (options->session || options->fresh)
		return err_set(err, EINVAL,
			       "attach: --session and --new are for a terminal: lines of a script "
			       "have a shell of their own");
	/* Also if there are no lines. */
	ret = registry_find(options->name, &monitor, err);
	if (ret < 0)
		return ret;
	if (options->line && strlen(options->line) > 0)
		from = fmemopen((char *)(uintptr_t)options->line, strlen(options->line), "r");
	else if (options->line)
		return 0;
	if (!from)
		return err_sys(err, "attach");
	script_init(&script, options->name);
	ret = run_lines(&script, from, &status, err);
	script_close(&script);
	if (from != stdin)
		fclose(from);
	return ret < 0 ? ret : status;
}

/* --- the verb --------------------------------------------------------------------------------- */

/* Without NAME: the only sandbox. The name is kept in `only`. */
static int find_only(char only[SANDBOX_NAME_MAX + 1], struct err *err)
{
	struct registry_entry *running = NULL;
	int i, count = registry_list(&running, err);
	char names[256] = "";
	size_t used = 0;

	if (count == 1)
		snprintf(only, SANDBOX_NAME_MAX + 1, "%s", running[0].name);
	for (i = 0; i < count && used < sizeof(names); i++)
		used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", i ? ", " : "",
					 running[i].name);
	free(running);
	if (count == 0)
		return err_set(err, ESRCH, "attach: no sandbox runs: see 'cordon help start'");
	if (count > 1)
		return err_set(err, EINVAL, "attach: to which of %d sandboxes? %s%s", count, names,
			       used >= sizeof(names) ? " ..." : "");
	return count < 0 ? count : 0;
}

static int run(int argc, char **argv, struct err *err)
{
	struct attach_options options = {.name = NULL};
	const struct option_set set = {&table, &options};
	char only[SANDBOX_NAME_MAX + 1];
	static const struct verb_words words = {.verb = &verb_attach, .most = 1};
	int ret = verb_words(&words, &set, 1, argc, argv, err);

	if (ret < 0)
		return ret;
	options.name = ret > 0 ? argv[1] : NULL;
	if (options.session && options.fresh)
		return verb_usage_error(&verb_attach, NULL, "--session or --new?", err);
	if (!options.name) {
		ret = find_only(only, err);
		if (ret < 0)
			return ret;
		options.name = only;
	}
	if (options.line || !terminal_is_screen())
		return run_script(&options, err);
	return attach_interactive(&options, err);
}

static const struct option_table *const tables[] = {&table, NULL};

const struct verb verb_attach = {
	.name = "attach",
	.group = VERB_SANDBOXES,
	.usage = "[options] [NAME]",
	.summary = "work in a running sandbox, as its operator",
	.description =
		"A prompt with a shell of the sandbox behind it. A line runs in that shell, which "
		"keeps directory, variables and background jobs; a line that begins with `:` is "
		"for "
		"Cordon: `:help` lists them. Questions of the policy appear above the prompt; "
		"`:allow N` and `:deny N` decide them. Ctrl-^ takes such a line while a program "
		"runs. "
		"Without NAME it is the only sandbox. A line says that the shell starts, until the "
		"prompt replaces it.\n"
		"\n"
		"Ctrl-] or `:detach` leaves the shell running; the next `cordon attach` finds it. "
		"`exit`, Ctrl-D or `:quit` end it. Pasted lines wait for the prompt one by one, 4 "
		"MiB at "
		"most; Ctrl-C drops those that wait.\n"
		"\n"
		"If standard input or output is no terminal, or the terminal is dumb, lines are "
		"run "
		"one after the other: no prompt, no escape codes, output and error of each line "
		"unchanged. Their commands have an empty standard input. A line that begins with "
		"`:` is never the sandbox's, not even in a here-document.",
	.options = tables,
	.notes = "The shell is the sandbox's bash without its line editor, or else its sh. Its "
		 "prompts (PS1, PS2) are marks by which Cordon sees that a command has ended: if a "
		 "line changes PS1 in sh, each further line goes to the shell as it is typed.",
	.examples = "  cordon attach box\n"
		    "  printf 'cd /tmp\\npwd\\n:jobs\\n' | cordon attach box\n"
		    "  cordon attach -c 'uname -a' box",
	.exit_status = "0 after `:detach`; 125 if the sandbox ends first; else that of the shell. "
		       "Of a script: that of the last line.",
	.see_also = "exec ask logs",
	.run = run,
};
