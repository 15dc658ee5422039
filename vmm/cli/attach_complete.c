/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/attach_complete.h"

#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/base/loop.h"
#include "vmm/base/text.h"
#include "vmm/cli/attach_commands.h"
#include "vmm/control/client.h"

/* How long the guest may take, and how much it may say. */
#define GUEST_MS  3000
#define GUEST_MAX 65536

/*
 * Lists paths that begin with $2 in the directory of process $1, and with $3 also programs. Names
 * with a newline look like two; candidates are only shown, and the shell checks what is run.
 */
static const char lister[] =
	"cd \"/proc/$1/cwd\" 2>/dev/null\n"
	"for f in \"$2\"*; do\n"
	"  if [ -d \"$f\" ]; then printf '%s/\\n' \"$f\"\n"
	"  elif [ -e \"$f\" ] || [ -L \"$f\" ]; then printf '%s\\n' \"$f\"; fi\n"
	"done\n"
	"[ \"$3\" ] || exit 0\n"
	"IFS=:\n"
	"for d in $PATH; do for f in \"$d/$2\"*; do\n"
	"  [ -f \"$f\" ] && [ -x \"$f\" ] && printf '%s\\n' \"${f##*/}\"\n"
	"done; done\n";

static void add(struct line_candidates *found, const char *text, size_t length, const char *end)
{
	char *copy;
	size_t i;

	if (found->count == LINE_CANDIDATES)
		return;
	if (asprintf(&copy, "%.*s%s", (int)length, text, end) < 0)
		return;
	for (i = 0; i < found->count; i++)
		if (strcmp(found->text[i], copy) == 0) {
			free(copy);
			return;
		}
	found->text[found->count++] = copy;
}

/* Adds a word that begins as the text from found->start on does. */
static void add_word(struct line_candidates *found, const char *text, const char *word)
{
	size_t length = strlen(text + found->start);

	if (strncmp(word, text + found->start, length) == 0)
		add(found, word, strlen(word), " ");
}

/* --- the guest -------------------------------------------------------------------------------- */

/* A name as it stands in a line of the shell; names that a terminal would obey are left out. */
static void add_name(struct line_candidates *found, const char *word, const char *name,
		     size_t length)
{
	char quoted[2 * 1024 + 1];
	size_t used = 0, i;

	if (length == 0 || length > sizeof(quoted) / 2 || !text_is_safe(name, length, 0))
		return;
	/* The guest may reply anything: a candidate goes on from the word, and is no command. */
	if (length < strlen(word) || strncmp(name, word, strlen(word)) != 0 ||
	    (name[0] == ':' && found->start == 0))
		return;
	for (i = 0; i < length; i++) {
		if (strchr(" \t\\'\"$`&|;<>()[]{}*?!#~", name[i]) && !(i == 0 && name[i] == '~'))
			quoted[used++] = '\\';
		quoted[used++] = name[i];
	}
	add(found, quoted, used, name[length - 1] == '/' ? "" : " ");
}

static void unquote(char *word)
{
	char *to = word;

	for (; *word; word++) {
		if (*word == '\\' && word[1])
			word++;
		*to++ = *word;
	}
	*to = '\0';
}

/* Reads to the end, but no longer than GUEST_MS: closing the connection ends the lister. */
static ssize_t read_reply(int fd, char *output)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	uint64_t end_ns = loop_now_ns() + GUEST_MS * 1000000ull, now_ns;
	ssize_t n = 1, length = 0;

	while (n > 0 && length < GUEST_MAX) {
		now_ns = loop_now_ns();
		if (now_ns >= end_ns || poll(&ready, 1, (int)((end_ns - now_ns) / 1000000)) <= 0)
			break;
		n = read(fd, output + length, (size_t)(GUEST_MAX - length));
		length += n > 0 ? n : 0;
	}
	return length;
}

/* Runs the lister and reads its output. Returns the length. */
static size_t ask_guest(const char *name, unsigned pid, const char *word, bool programs,
			char *output)
{
	struct err err;
	char number[16];
	json_t *request;
	int fd = client_connect(name, GUEST_MS, &err), null, pipe_fd[2] = {-1, -1};
	ssize_t length = 0;

	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	snprintf(number, sizeof(number), "%u", pid);
	request = json_pack("{s:i,s:s,s:[s,s,s,s,s,s,s],s:[],s:i}", "id", 1, "op", "exec", "argv",
			    "sh", "-c", lister, "sh", number, word, programs ? "1" : "", "env",
			    "timeout_ms", GUEST_MS);
	if (fd >= 0 && null >= 0 && request && pipe2(pipe_fd, O_CLOEXEC) == 0) {
		int streams[] = {null, pipe_fd[1], null};

		if (client_send(fd, json_incref(request), streams, 3, &err) == 0) {
			fd_close(&pipe_fd[1]);
			length = read_reply(pipe_fd[0], output);
		}
	}
	json_decref(request);
	fd_close(&pipe_fd[0]);
	fd_close(&pipe_fd[1]);
	fd_close(&null);
	fd_close(&fd);
	return (size_t)length;
}

static void complete_guest(const char *name, unsigned pid, const char *text, bool programs,
			   struct line_candidates *found)
{
	char *word = strdup(text + found->start), *output = malloc(GUEST_MAX), *at, *end;
	size_t length = 0;

	if (word && output) {
		unquote(word);
		length = ask_guest(name, pid, word, programs, output);
	}
	for (at = output; length > 0 && at < output + length; at = end + 1) {
		end = memchr(at, '\n', (size_t)(output + length - at));
		if (!end)
			break;
		add_name(found, word, at, (size_t)(end - at));
	}
	free(word);
	free(output);
}

/* --- the host --------------------------------------------------------------------------------- */

static void complete_host(const char *text, struct line_candidates *found)
{
	char *pattern;
	glob_t paths;
	size_t i;

	if (asprintf(&pattern, "%s*", text + found->start) < 0)
		return;
	if (glob(pattern, GLOB_MARK | GLOB_TILDE, NULL, &paths) == 0) {
		for (i = 0; i < paths.gl_pathc; i++)
			add_name(found, "", paths.gl_pathv[i], strlen(paths.gl_pathv[i]));
		globfree(&paths);
	}
	free(pattern);
}

static void add_numbers(struct line_candidates *found, const char *name, const char *text,
			const char *op, const char *list, const char *field)
{
	struct message reply;
	const json_t *items;
	struct err err;
	char number[24];
	size_t i;

	if (client_request_once(name, GUEST_MS, json_pack("{s:s}", "op", op), &reply, &err) < 0)
		return;
	items = json_object_get(reply.body, list);
	for (i = 0; i < json_array_size(items); i++) {
		snprintf(number, sizeof(number), "%lld",
			 (long long)json_integer_value(
				 json_object_get(json_array_get(items, i), field)));
		add_word(found, text, number);
	}
	message_clear(&reply);
}

static void add_words(struct line_candidates *found, const char *text, const char *const *words)
{
	for (; *words; words++)
		add_word(found, text, *words);
}

/* --- commands that begin with ':' ------------------------------------------------------------- */

static void complete_command(const char *text, size_t skip, struct line_candidates *found)
{
	const struct attach_command *command;
	char word[64];

	for (command = attach_commands; command->name; command++) {
		snprintf(word, sizeof(word), "%s%s", skip ? ":" : "", command->name);
		add_word(found, text, word);
	}
}

static void complete_argument(const char *name, unsigned pid, const char *text,
			      struct line_candidates *found)
{
	static const char *const policy[] = {"add", "show", "set", "undo", NULL};
	static const char *const rules[] = {"net", "tls", "tcp", "udp", NULL};
	static const char *const approvals[] = {"once", "session", "always", NULL};
	static const char *const refusals[] = {"no", "never", NULL};
	char command[32];

	snprintf(command, sizeof(command), "%.*s", (int)strcspn(text + 1, " "), text + 1);
	if (strcmp(command, "help") == 0) {
		complete_command(text, 0, found);
	} else if (strcmp(command, "policy") == 0) {
		add_words(found, text, policy);
	} else if (strcmp(command, "allow") == 0 || strcmp(command, "deny") == 0) {
		add_words(found, text, rules);
		add_words(found, text, command[0] == 'a' ? approvals : refusals);
		add_numbers(found, name, text, "questions", "questions", "question");
	} else if (strcmp(command, "shell") == 0) {
		add_numbers(found, name, text, "info", "jobs", "job");
	} else if (strcmp(command, "logs") == 0) {
		add_numbers(found, name, text, "info", "ended", "job");
	} else if (strcmp(command, "exec") == 0) {
		complete_guest(name, pid, text, true, found);
	} else if (strcmp(command, "cp") == 0 && text[found->start] == ':') {
		found->start++;
		complete_guest(name, pid, text, false, found);
	} else if (strcmp(command, "cp") == 0 || strcmp(command, "snapshot") == 0) {
		complete_host(text, found);
	}
}

void attach_complete(const char *name, unsigned pid, const char *text,
		     struct line_candidates *found)
{
	size_t start = strlen(text), i;
	bool first;

	while (start > 0 &&
	       (!strchr(" \t;|&<>()=", text[start - 1]) || (start > 1 && text[start - 2] == '\\')))
		start--;
	found->start = start;
	for (i = start; i > 0 && (text[i - 1] == ' ' || text[i - 1] == '\t'); i--)
		;
	first = i == 0 || strchr(";|&(", text[i - 1]);
	if (text[0] != ':')
		complete_guest(name, pid, text, first && !strchr(text + start, '/'), found);
	else if (start == 0)
		complete_command(text, 1, found);
	else
		complete_argument(name, pid, text, found);
}
