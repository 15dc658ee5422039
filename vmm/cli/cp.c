/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cordon cp: copy files and directories in and out of a sandbox, without a share. In the guest, tar
 * reads or writes the other end of a command's stdin or stdout.
 */
#include "vmm/cli/cp.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/base/progress.h"
#include "vmm/cli/verb.h"
#include "vmm/control/client.h"
#include "vmm/control/registry.h"

#define NO_TAR "command -v tar >/dev/null || exit 127; "

/* $1: the directory; $2: the name in it. */
static const char send_script[] = NO_TAR "exec tar -cf - -C \"$1\" -- \"./$2\"";

/*
 * $1: the target; $2: the name in the stream. Extracts into $1 if that is a directory, else as $1,
 * by way of a temporary directory, so that $1 is complete or missing.
 */
static const char take_script[] =
	NO_TAR "if [ -d \"$1\" ]; then exec tar -xf - -C \"$1\"; fi; "
	       "t=$(mktemp -d \"$(dirname -- \"$1\")/.cp.XXXXXX\") || exit 1; "
	       "tar -xf - -C \"$t\" && mv -- \"$t/$2\" \"$1\"; s=$?; rm -rf -- \"$t\"; exit $s";

/* $1: the directory that the stream is extracted into. */
static const char take_stream_script[] = NO_TAR "exec tar -xf - -C \"$1\"";

struct place {
	char sandbox[SANDBOX_NAME_MAX + 1]; /* "": the host */
	bool stream;			    /* "-": stdin or stdout */
	const char *path;
};

/*
 * "NAME:PATH" is in a sandbox; a path without a colon, or with a slash before it, is on the host;
 * "-" is stdin or stdout.
 */
static int parse_place(const char *word, struct place *place, struct err *err)
{
	const char *colon = strchr(word, ':');
	size_t length = colon ? (size_t)(colon - word) : 0;

	place->sandbox[0] = '\0';
	place->path = word;
	place->stream = strcmp(word, "-") == 0;
	if (!colon || (strchr(word, '/') && strchr(word, '/') < colon))
		return word[0] ? 0 : err_set(err, EINVAL, "cp: an empty path");
	if (length > SANDBOX_NAME_MAX)
		return err_set(err, EINVAL, "cp: '%.60s' is too long for a name", word);
	memcpy(place->sandbox, word, length);
	place->sandbox[length] = '\0';
	place->path = colon + 1;
	if (place->path[0] != '/')
		return err_set(err, EINVAL, "cp: %s: the path in a sandbox must begin with /",
			       word);
	return registry_check_name(place->sandbox, err);
}

/* Starts the script with `in` and `out` as its streams. Returns the connection or -errno. */
static int start_script(const char *sandbox, const char *script, const char *first,
			const char *second, int in, int out, struct err *err)
{
	const int fd[] = {in, out, cp_stderr_fd()};
	json_t *body = json_pack("{s:i,s:s,s:b,s:[s,s,s,s,s,s]}", "id", 1, "op", "exec", "bare", 1,
				 "argv", "sh", "-c", script, "sh", first, second);
	int socket_fd, ret;

	if (!body)
		return err_set(err, EINVAL, "cp: a path is not valid UTF-8");
	socket_fd = client_connect(sandbox, 0, err);
	if (socket_fd < 0) {
		json_decref(body);
		return socket_fd;
	}
	ret = client_send(socket_fd, body, fd, 3, err);
	if (ret == 0)
		return socket_fd;
	fd_close(&socket_fd);
	return ret;
}

/* Waits for the script's end. 0, or -errno with a message. */
static int wait_for_script(int socket_fd, struct err *err)
{
	const char *event, *text;
	struct message message;
	int ret, status = -1;

	while ((ret = client_receive(socket_fd, &message, err)) == 0) {
		event = json_string_value(json_object_get(message.body, "event"));
		if (event && strcmp(event, "started") == 0) {
			message_clear(&message);
			continue;
		}
		text = json_string_value(
			json_object_get(message.body, event ? "message" : "error"));
		status = (int)json_integer_value(json_object_get(message.body, "status"));
		if (!event)
			ret = err_set(err, EREMOTE, "cp: %s", text ? text : "refused");
		else if (status == EXIT_NOT_FOUND)
			ret = err_set(err, ENOENT,
				      "cp: the sandbox's files have no tar, or no sh: cp "
				      "needs both in it");
		else if (status != 0)
			ret = err_set(err, EIO, "cp: tar in the sandbox failed (status %d)%s%s",
				      status, text ? ": " : "", text ? text : "");
		message_clear(&message);
		return ret;
	}
	return ret;
}

/* The path without trailing slashes, split into directory and name. */
static int split(const char *path, char copy[PATH_MAX], char **directory, char **name,
		 struct err *err)
{
	static char second[PATH_MAX];

	if (snprintf(copy, PATH_MAX, "%s", path) >= PATH_MAX)
		return err_set(err, ENAMETOOLONG, "cp: %s: the path is too long", path);
	memcpy(second, copy, sizeof(second));
	*name = basename(second);
	*directory = dirname(copy);
	if (strcmp(*name, "/") == 0 || strcmp(*name, ".") == 0 || strcmp(*name, "..") == 0)
		return err_set(err, EINVAL, "cp: %s: give a path that ends with a name", path);
	return 0;
}

/* --- out of a sandbox ------------------------------------------------------------------------- */

/* Writes the stream to stdout for another program, with the sandbox's names checked. */
static int open_stdout(struct err *err)
{
	int fd;

	if (isatty(STDOUT_FILENO))
		return err_set(
			err, EINVAL,
			"cp: will not write an archive to a terminal: send stdout to a file or "
			"to tar");
	fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	return fd < 0 ? err_sys(err, "cp: stdout") : fd;
}

static int copy_out(const struct place *from, const struct place *to, struct err *err)
{
	char copy[PATH_MAX], source[PATH_MAX], target[PATH_MAX], *directory = NULL, *name = "";
	int pipe_fd[2] = {-1, -1}, null_fd = -1, socket_fd = -1, target_fd = -1, ret;
	struct err later;

	ret = split(from->path, copy, &directory, &name, err);
	if (ret < 0)
		return ret;
	snprintf(source, sizeof(source), "%s", name);
	target_fd = to->stream ? open_stdout(err) : cp_open_target(to->path, source, target, err);
	if (target_fd < 0)
		return target_fd;
	null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (null_fd < 0 || pipe2(pipe_fd, O_CLOEXEC) < 0) {
		ret = err_sys(err, "cp: pipe");
		goto out;
	}
	socket_fd = start_script(from->sandbox, send_script, directory, source, null_fd, pipe_fd[1],
				 err);
	fd_close(&pipe_fd[1]);
	if (socket_fd < 0) {
		ret = socket_fd;
		goto out;
	}
	ret = to->stream ? cp_filter(pipe_fd[0], target_fd, source, err)
			 : cp_extract(pipe_fd[0], target_fd, source, target, err);
	fd_close(&pipe_fd[0]);
	/* If the stream was cut short, tar's message says why. */
	if (ret == 0 || ret == -EPROTO) {
		int end = wait_for_script(socket_fd, &later);

		if (end < 0) {
			*err = later;
			ret = end;
		}
	}
out:
	fd_close(&pipe_fd[0]);
	fd_close(&pipe_fd[1]);
	fd_close(&null_fd);
	fd_close(&socket_fd);
	fd_close(&target_fd);
	return ret;
}

/* --- into a sandbox --------------------------------------------------------------------------- */

/* Waits for tar in the sandbox; its error, if any, replaces that of a failed write. */
static int finish_copy(int *socket_fd, int ret, struct err *err)
{
	struct err later;
	int end;

	if (*socket_fd >= 0) {
		end = wait_for_script(*socket_fd, &later);
		if (end < 0 && (ret == 0 || ret == -EPIPE)) {
			*err = later;
			ret = end;
		}
	}
	fd_close(socket_fd);
	return ret;
}

static int open_null(struct err *err)
{
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);

	return fd < 0 ? err_sys(err, "/dev/null") : fd;
}

/* Passes another program's stream on unchanged: the sandbox's tar checks the names. */
static int copy_stream_in(const struct place *to, struct err *err)
{
	int null_fd, socket_fd;

	if (isatty(STDIN_FILENO))
		return err_set(
			err, EINVAL,
			"cp: will not read an archive from a terminal: give stdin a file or tar's "
			"output");
	null_fd = open_null(err);
	if (null_fd < 0)
		return null_fd;
	socket_fd = start_script(to->sandbox, take_stream_script, to->path, "", STDIN_FILENO,
				 null_fd, err);
	fd_close(&null_fd);
	return socket_fd < 0 ? socket_fd : finish_copy(&socket_fd, 0, err);
}

static int copy_in(const struct place *from, const struct place *to, struct err *err)
{
	char base[NAME_MAX + 1], name[NAME_MAX + 1];
	int pipe_fd[2], null_fd, socket_fd, source_fd, ret;

	if (from->stream)
		return copy_stream_in(to, err);
	source_fd = cp_open_source(from->path, base, name, err);
	if (source_fd < 0)
		return source_fd;
	null_fd = open_null(err);
	if (null_fd < 0 || pipe2(pipe_fd, O_CLOEXEC) < 0) {
		ret = null_fd < 0 ? null_fd : err_sys(err, "cp: pipe");
		fd_close(&null_fd);
		fd_close(&source_fd);
		return ret;
	}
	socket_fd =
		start_script(to->sandbox, take_script, to->path, name, pipe_fd[0], null_fd, err);
	fd_close(&pipe_fd[0]);
	fd_close(&null_fd);
	ret = socket_fd < 0 ? socket_fd : cp_archive(pipe_fd[1], source_fd, base, name, err);
	/* A truncated stream makes tar fail, and nothing is put in place. */
	fd_close(&pipe_fd[1]);
	fd_close(&source_fd);
	return finish_copy(&socket_fd, ret, err);
}

static int run(int argc, char **argv, struct err *err)
{
	struct place from = {.sandbox = ""}, to = {.sandbox = ""};
	static const struct verb_words words = {&verb_cp, NULL, 2, 2, "from where, and to where?"};
	const struct option_set set = {&quiet_option_table, NULL};
	int ret = verb_words(&words, &set, 1, argc, argv, err);

	if (ret < 0)
		return ret;
	ret = parse_place(argv[1], &from, err);
	if (ret == 0)
		ret = parse_place(argv[2], &to, err);
	if (ret == 0 && !from.sandbox[0] == !to.sandbox[0])
		ret = err_set(
			err, EINVAL,
			"cp: one of the two must be in a sandbox (NAME:/PATH), the other here");
	if (ret == 0)
		ret = cp_stderr_begin(err);
	progress_begin("copying %s to %s", argv[1], argv[2]);
	if (ret == 0)
		ret = from.sandbox[0] ? copy_out(&from, &to, err) : copy_in(&from, &to, err);
	progress_end();
	cp_stderr_end();
	return ret;
}

static const struct option_table *const tables[] = {&quiet_option_table, NULL};

const struct verb verb_cp = {
	.name = "cp",
	.group = VERB_SANDBOXES,
	.usage = "[-q] NAME:PATH PATH|-\n"
		 "[-q] PATH|- NAME:PATH",
	.options = tables,
	.summary = "copy files out of a sandbox or into it; - is a tar stream",
	.description =
		"Copies a file or a directory as `cp -r` would: into the target if that is a "
		"directory, else as the target. A path in a sandbox begins with a slash. Symbolic "
		"links are copied as such and never followed; owners, set-id bits, devices and "
		"pipes are not copied.\n"
		"\n"
		"`-` in place of the host's path is a tar stream on standard output or input; an "
		"incoming one is extracted into a directory of the sandbox. The sandbox must have "
		"sh(1) and tar(1).",
	.notes = "What the sandbox sends is written nowhere but below the target. A path of the "
		 "host that is a symbolic link, or leads through one, is refused as well, since an "
		 "earlier copy may have put the link there: a link to a directory is followed only "
		 "if the path ends with a slash, and on the way only links in / or, for users "
		 "other than root, in directories that root owns are followed. A link to anything "
		 "else in place of the target is replaced.\n"
		 "\n"
		 "Names in a stream that is written to standard output are checked: none is "
		 "absolute, has a component .. or leads through a link of the stream. Streams are "
		 "neither read from nor written to a terminal. What tar(1) in the sandbox says "
		 "goes to standard error, with control characters made harmless if that is a "
		 "terminal.",
	.examples = "  cordon cp box:/work/report.pdf .\n"
		    "  tar c src | cordon cp - box:/work",
	.run = run,
};
