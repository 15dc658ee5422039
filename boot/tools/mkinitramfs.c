/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the default root file system as an uncompressed initramfs: the agent as /init, a static
 * busybox and the names of its applets, and cordon-guest. The agent creates everything else: a link
 * or directory in an initramfs costs the kernel three times the instructions of the system call
 * that creates it.
 *
 *     mkinitramfs --agent FILE [--busybox FILE] [--program FILE] -o FILE
 *
 * Equal input gives equal bytes. The output is complete or absent, and read-only, so that the
 * monitor may map it.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "boot/image.h"
#include "boot/initramfs.h"
#include "vmm/base/bytes.h"

#define APPLETS_MAX  1024
#define APPLETS_FILE ".applets" /* guest-kernel/agent/root.c reads it */

/* The programs to pack; NULL: none. */
struct sources {
	const char *agent, *busybox, *program;
};

struct applets {
	char *name[APPLETS_MAX];
	size_t count;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Runs `busybox --list` and reads its output. */
static int list_applets(const char *busybox, struct applets *applets, struct err *err)
{
	char line[128];
	int pipes[2], status;
	FILE *from;
	pid_t child;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return err_sys(err, "pipe");
	child = fork();
	if (child == 0) {
		dup2(pipes[1], STDOUT_FILENO);
		execl(busybox, "busybox", "--list", (char *)NULL);
		_exit(127);
	}
	close(pipes[1]);
	from = fdopen(pipes[0], "r");
	while (from && fgets(line, sizeof(line), from) && applets->count < APPLETS_MAX) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] != '\0' && !strchr(line, '/') && strcmp(line, "busybox") != 0)
			applets->name[applets->count++] = strdup(line);
	}
	if (from)
		fclose(from);
	if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0 || applets->count == 0)
		return err_set(err, ENOEXEC,
			       "%s --list does not name its applets: install the "
			       "package busybox-static",
			       busybox);
	qsort(applets->name, applets->count, sizeof(applets->name[0]), by_name);
	return 0;
}

static int add_program(struct cpio *cpio, const char *path, const char *source, struct err *err)
{
	struct boot_image image;
	void *bytes = NULL;
	int ret;

	ret = boot_image_open(&image, source, "program", err);
	if (ret < 0)
		return ret;
	bytes = malloc(image.size);
	if (!bytes)
		ret = err_set(err, ENOMEM, "no memory for %s", source);
	if (ret == 0)
		ret = boot_image_read(&image, 0, bytes, image.size, err);
	if (ret == 0)
		ret = cpio_program(cpio, path, 0755, bytes, image.size, err);
	free(bytes);
	boot_image_close(&image);
	return ret;
}

/* Adds the program, and the names of its applets, one a line, for which the agent makes links. */
static int add_busybox(struct cpio *cpio, const char *busybox, struct err *err)
{
	struct applets applets = {.count = 0};
	char *text = NULL;
	size_t i, length = 0;
	FILE *names;
	int ret;

	ret = list_applets(busybox, &applets, err);
	names = open_memstream(&text, &length);
	if (ret == 0 && !names)
		ret = err_set(err, ENOMEM, "no memory for the names of applets");
	for (i = 0; i < applets.count; i++) {
		if (names)
			fprintf(names, "%s\n", applets.name[i]);
		free(applets.name[i]);
	}
	if (names && fclose(names) != 0 && ret == 0)
		ret = err_set(err, ENOMEM, "no memory for the names of applets");
	if (ret == 0)
		ret = add_program(cpio, "bin/busybox", busybox, err);
	if (ret == 0)
		ret = cpio_file(cpio, "bin/" APPLETS_FILE, 0444, text, length, err);
	free(text);
	return ret;
}

/* As few entries as possible: each costs the guest over 13,000 instructions. */
static int write_all(struct cpio *cpio, const struct sources *from, struct err *err)
{
	int ret;

	ret = cpio_directory(cpio, "dev", 0755, err);
	/* PID 1's standard streams, before it has mounted anything. */
	if (ret == 0)
		ret = cpio_device(cpio, "dev/console", 0600, 5, 1, err);
	if (ret == 0)
		ret = cpio_directory(cpio, "bin", 0755, err);
	if (ret == 0)
		ret = add_program(cpio, "init", from->agent, err);
	if (ret == 0 && from->busybox)
		ret = add_busybox(cpio, from->busybox, err);
	if (ret == 0 && from->program)
		ret = add_program(cpio, "bin/cordon-guest", from->program, err);
	if (ret == 0)
		ret = cpio_end(cpio, err);
	return ret;
}

static int make(const char *output, const struct sources *from, struct err *err)
{
	char temporary[4096];
	struct cpio cpio;
	FILE *to;
	int ret;

	if ((size_t)snprintf(temporary, sizeof(temporary), "%s.new", output) >= sizeof(temporary))
		return err_set(err, ENAMETOOLONG, "%s: name too long", output);
	to = fopen(temporary, "we");
	if (!to)
		return err_sys(err, "cannot write %s", temporary);
	cpio_begin(&cpio, to);
	ret = write_all(&cpio, from, err);
	if (ret == 0 && fchmod(fileno(to), 0444) < 0)
		ret = err_sys(err, "cannot write %s", temporary);
	if (fclose(to) != 0 && ret == 0)
		ret = err_sys(err, "cannot write %s", temporary);
	if (ret == 0 && rename(temporary, output) < 0)
		ret = err_sys(err, "cannot write %s", output);
	if (ret < 0)
		unlink(temporary);
	return ret;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"agent", required_argument, NULL, 'a'},
						{"busybox", required_argument, NULL, 'b'},
						{"program", required_argument, NULL, 'p'},
						{"output", required_argument, NULL, 'o'},
						{NULL, 0, NULL, 0}};
	struct sources from = {NULL, NULL, NULL};
	const char *output = NULL;
	struct err err = {""};
	int option;

	while ((option = getopt_long(argc, argv, "a:b:p:o:", options, NULL)) != -1) {
		if (option == 'a')
			from.agent = optarg;
		else if (option == 'b')
			from.busybox = optarg;
		else if (option == 'p')
			from.program = optarg;
		else if (option == 'o')
			output = optarg;
		else
			return 2;
	}
	if (!from.agent || !output || optind != argc) {
		fprintf(stderr, "usage: mkinitramfs --agent FILE [--busybox FILE] [--program FILE] "
				"-o FILE\n");
		return 2;
	}
	if (make(output, &from, &err) < 0) {
		fprintf(stderr, "mkinitramfs: %s\n", err.text);
		return 1;
	}
	return 0;
}
