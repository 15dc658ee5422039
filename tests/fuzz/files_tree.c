/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/files_tree.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char files_tree_rules[] = "file hide   /w/**/.env\n"
				"file deny   /w/denied/**\n"
				"file read   /w/read/**\n"
				"file append /w/log/**\n"
				"file write  /w/**\n";

void files_tree_begin(void)
{
	if (access("/dev/shm", W_OK) == 0)
		files_host_directory = "/dev/shm";
}

void files_tree_make(const struct files_host *host)
{
	host_mkdir(host, "d");
	host_mkdir(host, "denied");
	host_mkdir(host, "read");
	host_mkdir(host, "log");
	host_write(host, "d/f", "contents");
	host_write(host, "f", "contents");
	host_write(host, "read/f", "contents");
	host_write(host, "log/f", "line\n");
	host_write(host, "denied/f", FILES_TREE_SECRET);
	host_write(host, ".env", FILES_TREE_SECRET);
	host_write(host, "d/.env", FILES_TREE_SECRET);
	FUZZ_REQUIRE(symlink("denied/f", host_path(host, "link")) == 0);
	FUZZ_REQUIRE(mkfifo(host_path(host, "fifo"), 0666) == 0);
}

/* Whether a file is there and begins with the text. */
static bool begins(const struct files_host *host, const char *path, const char *text)
{
	const char *now = host_read(host, path);

	return now && strncmp(now, text, strlen(text)) == 0;
}

/* Whether a file is there with just this text. */
static bool holds(const struct files_host *host, const char *path, const char *text)
{
	return begins(host, path, text) && strlen(host_read(host, path)) == strlen(text);
}

void files_tree_check(const struct files_host *host)
{
	FUZZ_REQUIRE(holds(host, "denied/f", FILES_TREE_SECRET));
	FUZZ_REQUIRE(holds(host, ".env", FILES_TREE_SECRET));
	FUZZ_REQUIRE(holds(host, "read/f", "contents"));
	FUZZ_REQUIRE(begins(host, "log/f", "line\n"));
}

const char *files_tree_name(struct fuzz_script *script)
{
	static const char *const names[] = {
		"d",	"f",	   ".env", "denied",	 "read",   "log",    "a",
		"b",	"link",	   "fifo", "user.x",	 "c",	   "..",     ".",
		"",	"x/y",	   "/",	   "../secret",	 "read/f", "user.y", "security.x",
		"log2", "denied2", "\xff", "nnnnnnnnnn",
	};

	return names[fuzz_below(script, ARRAY_SIZE(names))];
}

uint64_t files_tree_number(struct fuzz_script *script)
{
	return fuzz_rarely(script, 4) ? fuzz_number(script, 8) : fuzz_number(script, 1);
}
