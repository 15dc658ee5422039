/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/policy_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"

/* A file of a person's, whole and bounded; whatever it is, nothing waits for it. */
static int read_text(const char *path, char **text, size_t *length, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat status;
	ssize_t n = 0;
	int ret = 0;

	if (fd < 0)
		return err_sys(err, "policy %s", path);
	*text = NULL;
	if (fstat(fd, &status) < 0)
		ret = err_sys(err, "policy %s", path);
	else if (!S_ISREG(status.st_mode))
		ret = err_set(err, EINVAL, "policy %s: not a plain file", path);
	if (ret == 0) {
		*text = malloc(POLICY_FILE_MAX + 1);
		n = *text ? fd_read_full(fd, *text, POLICY_FILE_MAX + 1) : -ENOMEM;
		if (n < 0)
			ret = err_code(err, (int)-n, "policy %s", path);
	}
	fd_close(&fd);
	if (ret < 0)
		free(*text);
	*length = (size_t)n;
	return ret;
}

/* Its folder, absolute; where relative paths in it begin. */
static int folder_of(const char *path, char folder[PATH_MAX], struct err *err)
{
	char copy[PATH_MAX], *slash;

	snprintf(copy, sizeof(copy), "%s", path);
	slash = strrchr(copy, '/');
	if (!slash)
		strcpy(copy, ".");
	else
		slash[slash == copy] = '\0';
	return realpath(copy, folder) ? 0 : err_sys(err, "policy %s: its folder", path);
}

int policy_load(struct policy **policy, const struct policy_options *options, struct err *err)
{
	const char *name = options->policy ? options->policy : "locked";
	char folder[PATH_MAX], cwd[PATH_MAX];
	struct policy_source source = {
		.name = name,
		.folder = cwd,
		.cwd = cwd,
		.home = getenv("HOME"),
		.share = options->share,
		.shares = options->shares,
		.rootfs = options->rootfs,
		.lenient = options->lenient,
	};
	char *text = NULL;
	size_t length = 0;
	int ret;

	*policy = NULL;
	if (!getcwd(cwd, sizeof(cwd)))
		return err_sys(err, "the working directory");
	if (source.home && source.home[0] != '/')
		source.home = NULL;
	if (policy_preset_text(name))
		return policy_preset(policy, name, &source, err);
	ret = read_text(name, &text, &length, err);
	if (ret == -ENOENT && !strchr(name, '/'))
		return err_set(err, ENOENT,
			       "policy %s: no such file, and no preset (see 'cordon policy "
			       "presets')",
			       name);
	if (ret < 0)
		return ret;
	ret = folder_of(name, folder, err);
	source.folder = folder;
	if (ret == 0)
		ret = policy_parse(policy, text, length, &source, err);
	free(text);
	return ret;
}

/* --- shares of the command line -----------------------------------------------------------------
 */

static int share_word(struct policy_share *share, char *word, struct err *err)
{
	uint64_t id;
	int ret;

	if (strcmp(word, "ro") == 0 || strcmp(word, "rw") == 0) {
		share->read_only = word[1] == 'o';
		return 0;
	}
	if (strncmp(word, "uid=", 4) != 0 && strncmp(word, "gid=", 4) != 0)
		return err_set(err, EINVAL, "'%s': after HOST:GUEST come ro, uid=N and gid=N",
			       word);
	ret = cli_parse_number(word + 4, 0, UINT32_MAX - 1, &id, err);
	if (ret == 0)
		*(word[0] == 'u' ? &share->uid : &share->gid) = (int64_t)id;
	return ret;
}

int policy_add_share(struct policy_options *options, const char *text, struct err *err)
{
	struct policy_share share = {.uid = -1, .gid = -1};
	char *copy = strdup(text), *guest, *word, *rest = NULL;
	int ret = 0;

	if (!copy)
		return err_set(err, ENOMEM, "out of memory");
	guest = strstr(copy, ":/");
	if (!guest || guest == copy)
		ret = err_set(err, EINVAL,
			      "'%s': give HOST:GUEST, a folder of the host and an absolute path",
			      text);
	else if (options->shares == POLICY_SHARES_MAX)
		ret = err_set(err, EINVAL, "more than %d shares", POLICY_SHARES_MAX);
	if (ret < 0) {
		free(copy);
		return ret;
	}
	*guest++ = '\0';
	share.guest = strtok_r(guest, ":", &rest);
	while (ret == 0 && (word = strtok_r(NULL, ":", &rest)))
		ret = share_word(&share, word, err);
	share.host = ret == 0 ? realpath(copy, NULL) : NULL;
	if (ret == 0 && !share.host)
		ret = err_sys(err, "%s", copy);
	if (ret == 0)
		options->share[options->shares++] = share;
	else
		free(copy);
	return ret;
}

/* --- limits -----------------------------------------------------------------------------------
 */

int policy_apply_limit(const struct policy *policy, const char *option, unsigned index,
		       uint64_t limit, bool given, uint64_t *value, struct err *err)
{
	const struct policy_limits *limits = policy_limits(policy);

	if (limit && given && (*value > limit || *value == 0))
		return err_set(err, EINVAL, "%s asks for more than the policy allows (%s:%u)",
			       option, limits->file[index], limits->line[index]);
	if (limit && !given)
		*value = limit;
	return 0;
}
