/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/files_attacks.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/bytes.h"

/* --- a host that exchanges directories -------------------------------------------------------- */

static atomic_bool stop;
static pthread_t thread;
static char directory[300], decoy[300];

static void *exchange(void *arg)
{
	(void)arg;
	while (!atomic_load(&stop))
		renameat2(AT_FDCWD, directory, AT_FDCWD, decoy, RENAME_EXCHANGE);
	return NULL;
}

void files_exchange_place(const struct files_host *host)
{
	host_mkdir(host, "d");
	host_write(host, "d/secret", "inside");
	snprintf(directory, sizeof(directory), "%s/d", host->base);
	snprintf(decoy, sizeof(decoy), "%s/decoy", host->base);
	if (symlink("..", decoy) < 0)
		abort();
}

void files_exchange_begin(const struct files_host *host)
{
	files_exchange_place(host);
	atomic_store(&stop, false);
	if (pthread_create(&thread, NULL, exchange, NULL) != 0)
		abort();
}

void files_exchange_end(void)
{
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
}

bool files_exchange_control_loses(const struct files_host *host)
{
	struct stat stat;
	char text[16] = "";
	int fd;

	if (lstat(directory, &stat) < 0 || !S_ISDIR(stat.st_mode))
		return false;
	fd = open(host_path(host, "d/secret"), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return false;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	return strcmp(text, "outside") == 0;
}

bool files_outside_is_untouched(const struct files_host *host)
{
	struct stat stat;
	char path[320];
	unsigned i;

	for (i = 0; i < 8; i++) {
		snprintf(path, sizeof(path), "%s/made-%u", host->top, i);
		if (lstat(path, &stat) == 0)
			return false;
	}
	snprintf(path, sizeof(path), "%s/secret", host->top);
	return lstat(path, &stat) == 0 && stat.st_mode == (S_IFREG | 0600) && stat.st_nlink == 1;
}

/* --- spellings -------------------------------------------------------------------------------- */

/* Something put in before each component, and between any two letters; and other cases. */
void files_spellings(const char *path, void (*try)(const char *path))
{
	static const char *const extra[] = {"./",
					    "../",
					    "//",
					    "d/../",
					    "d/../d/../",
					    "\x2e/",
					    "%2e/",
					    ".\\",
					    "\xc0\xae\xc0\xae/",
					    " ",
					    "\t",
					    "\x01",
					    "\xe2\x80\x8b",
					    "~/",
					    "$PWD/",
					    "f/../",
					    "log/../"};
	char text[256];
	size_t i, at;

	for (i = 0; i < ARRAY_SIZE(extra); i++)
		for (at = 0; at <= strlen(path); at++) {
			snprintf(text, sizeof(text), "%.*s%s%s", (int)at, path, extra[i],
				 path + at);
			try(text);
		}
	for (at = 0; at < strlen(path); at++) {
		snprintf(text, sizeof(text), "%s", path);
		text[at] ^= 0x20;
		try(text);
	}
}

const char *const files_link_targets[] = {"denied",
					  "denied/f",
					  "../share/denied/f",
					  "./denied/./f",
					  ".env",
					  "/w/denied/f",
					  "/proc/self/cwd",
					  "/proc/self/root",
					  "/proc/self/fd/3",
					  "d/.env",
					  "../secret",
					  "../../../../etc/passwd",
					  "denied/../.env",
					  NULL};

/* --- places ----------------------------------------------------------------------------------- */

const struct files_place files_places[FILES_PLACES] = {
	{"", "g"}, {"", "y"}, {"g", "hooks"}, {"free", "x"}, {"y", "hooks"}};

void files_places_make(const struct files_host *host)
{
	host_mkdir(host, "g");
	host_mkdir(host, "g/hooks");
	host_mkdir(host, "free");
	host_mkdir(host, "free/x");
	host_mkdir(host, "y");
	host_write(host, "g/hooks/run", "hook");
}

bool files_places_are_whole(const struct files_host *host)
{
	const char *text = host_read(host, "g/hooks/run");

	return text && strcmp(text, "hook") == 0 && !host_has(host, "g/hooks/made");
}
