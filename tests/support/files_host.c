/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/files_host.h"

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/fd.h"

const char *files_host_directory = "/tmp";

/* A failure of the set-up is not a failed test: it ends the program. */
static void need(bool good, const char *what)
{
	if (good)
		return;
	perror(what);
	abort();
}

static struct policy *parse(const char *rules)
{
	struct policy_source source = {.name = "test", .directory = "/", .home = "/"};
	struct policy *policy = NULL;
	struct err err = {.text = ""};
	char *text;

	need(asprintf(&text, "policy 1\nshare / /w\n%s", rules) > 0, "rules");
	if (policy_parse(&policy, text, strlen(text), &source, &err) < 0)
		fprintf(stderr, "%s\n", err.text);
	need(policy != NULL, "policy");
	free(text);
	return policy;
}

void files_host_begin_share(struct files_host *host, const char *policy, bool read_only)
{
	struct files_share_config config = {
		.guest = "/w", .read_only = read_only, .id_base = 100000};
	struct err err = {.text = ""};
	char secret[288];
	int fd;

	memset(host, 0, sizeof(*host));
	umask(022);
	snprintf(host->top, sizeof(host->top), "%s/cordon-files-XXXXXX", files_host_directory);
	need(mkdtemp(host->top) != NULL, "mkdtemp");
	snprintf(host->base, sizeof(host->base), "%s/share", host->top);
	need(mkdir(host->base, 0755) == 0, host->base);
	snprintf(secret, sizeof(secret), "%s/secret", host->top);
	fd = open(secret, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	need(fd >= 0 && fd_write_full(fd, "outside", 7) == 0, secret);
	close(fd);
	if (policy)
		need(guard_create(&host->guard, parse(policy), NULL) == 0, "guard");
	config.host = host->base;
	config.guard = host->guard;
	need(files_share_open(&host->share, &config, &err) == 0, err.text);
}

void files_host_begin_as(struct files_host *host, const char *policy, bool read_only,
			 enum fused_cache cache, const struct fuse_session_config *config)
{
	struct fuse_client *client = &host->client;
	struct fuse_entry_out entry;
	struct fuse_init_out init;

	files_host_begin_share(host, policy, read_only);
	need(fuse_session_create(&client->session, config) == 0, "session");
	need(fuse_session_enter() == 0, "enter");
	need(fuse_session_add(client->session, "0", &host->share, cache) == 0, "root");
	need(fc_init(client, UINT64_MAX, &init) == 0, "INIT");
	need(fc_lookup(client, FUSE_ROOT_ID, "0", &entry) == 0, "LOOKUP");
	client->root = entry.nodeid;
}

void files_host_begin(struct files_host *host, const char *policy, bool read_only)
{
	files_host_begin_as(host, policy, read_only, FUSED_STRICT, NULL);
}

void files_host_replace(struct files_host *host, const char *policy)
{
	guard_replace(host->guard, parse(policy), "test");
}

/* A guest may have removed all permissions of a directory. */
static int open_up(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
	(void)walk;
	if (S_ISDIR(stat->st_mode) && (type == FTW_DNR || (stat->st_mode & 0700) != 0700))
		chmod(path, 0700);
	return 0;
}

static int remove_one(const char *path, const struct stat *stat, int type, struct FTW *walk)
{
	(void)stat;
	(void)type;
	(void)walk;
	return remove(path);
}

void files_host_end(struct files_host *host)
{
	fuse_session_destroy(host->client.session);
	files_share_close(&host->share);
	guard_destroy(host->guard);
	nftw(host->top, open_up, 16, FTW_PHYS);
	need(nftw(host->top, remove_one, 16, FTW_PHYS | FTW_DEPTH) == 0, host->top);
}

const char *host_path(const struct files_host *host, const char *path)
{
	static char text[4][PATH_MAX];
	static unsigned next;
	char *to = text[next++ % 4];

	snprintf(to, PATH_MAX, "%s/%s", host->base, path);
	return to;
}

void host_write(const struct files_host *host, const char *path, const char *text)
{
	int fd = open(host_path(host, path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	need(fd >= 0 && fd_write_full(fd, text, strlen(text)) == 0, path);
	close(fd);
}

const char *host_read(const struct files_host *host, const char *path)
{
	static char text[4096];
	int fd = open(host_path(host, path), O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : fd_read_full(fd, text, sizeof(text) - 1);

	fd_close(&fd);
	text[n > 0 ? n : 0] = '\0';
	return n < 0 ? NULL : text;
}

void host_mkdir(const struct files_host *host, const char *path)
{
	need(mkdir(host_path(host, path), 0755) == 0, path);
}

bool host_has(const struct files_host *host, const char *path)
{
	struct stat stat;

	return lstat(host_path(host, path), &stat) == 0;
}

void files_host_fill(const struct files_host *host)
{
	host_mkdir(host, "denied");
	host_write(host, "denied/f", "denied");
	host_mkdir(host, "read");
	host_write(host, "read/f", "read");
	host_mkdir(host, "log");
	host_write(host, "log/f", "log");
	host_mkdir(host, "d");
	host_write(host, "d/f", "d");
	host_write(host, "d/.env", "hidden");
	host_write(host, ".env", "hidden");
	host_write(host, "f", "f");
}
