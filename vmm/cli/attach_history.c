/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/attach_history.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/fd.h"

static FILE *open_kept(const char *file, char path[PATH_MAX])
{
	int fd;

	if (snprintf(path, PATH_MAX, "%s.new", file) >= PATH_MAX)
		return NULL;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	return fd < 0 ? NULL : fdopen(fd, "w");
}

void history_load(const char *file, void (*entry)(void *arg, const char *text), void *arg)
{
	FILE *from = fopen(file, "re"), *kept = NULL;
	char path[PATH_MAX];
	char *text = NULL;
	size_t size = 0;
	ssize_t length;
	bool large;

	if (!from)
		return;
	fseek(from, 0, SEEK_END);
	large = ftell(from) >= HISTORY_MAX;
	fseek(from, large ? -(long)(HISTORY_MAX / 2) : 0, large ? SEEK_END : SEEK_SET);
	if (large && getline(&text, &size, from) >= 0)
		kept = open_kept(file, path);
	while ((length = getline(&text, &size, from)) > 0) {
		if (kept)
			fputs(text, kept);
		text[strcspn(text, "\n")] = '\0';
		entry(arg, text);
	}
	if (kept && fclose(kept) == 0)
		rename(path, file);
	free(text);
	fclose(from);
}

void history_append(const char *file, const char *text)
{
	char *entry;
	int length = asprintf(&entry, "%s\n", text), fd;

	if (length < 0)
		return;
	fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0 && lseek(fd, 0, SEEK_END) < HISTORY_MAX)
		fd_write_full(fd, entry, (size_t)length);
	fd_close(&fd);
	free(entry);
}
