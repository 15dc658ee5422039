/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/launch/policy_file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/launch/policy_text.h"

/* --- --policy and --allow-net -----------------------------------------------------------------
 */

int policy_add_file(struct policy_options *options, const char *name, struct err *err)
{
	size_t i;

	if (options->policies == POLICY_PARTS_MAX)
		return err_set(err, EINVAL, "more than %d policies", POLICY_PARTS_MAX);
	for (i = 0; i < options->policies; i++)
		if (strcmp(name, "-") == 0 && strcmp(options->policy[i], "-") == 0)
			return err_set(err, EINVAL,
				       "--policy -: standard input can be read once only");
	options->policy[options->policies++] = name;
	return 0;
}

static int set_policy(void *arg, const char *value, struct err *err)
{
	return policy_add_file(arg, value, err);
}

static int set_allow_net(void *arg, const char *value, struct err *err)
{
	struct policy_options *options = arg;

	if (options->allow_nets == POLICY_NETS_MAX)
		return err_set(err, EINVAL, "more than %d of --allow-net", POLICY_NETS_MAX);
	options->allow_net[options->allow_nets++] = value;
	return 0;
}

const struct cli_option policy_option_table[] = {
	{"policy", 0, "FILE",
	 "a policy file, - for stdin, or a preset (locked); several make one policy", set_policy},
	{"allow-net", 0, "[PROTOCOL/]NAME:PORT",
	 "allow connections there (tls for port 443, else tcp), unless a rule denies them",
	 set_allow_net},
};

const size_t policy_option_count = ARRAY_SIZE(policy_option_table);

/* --- reading ----------------------------------------------------------------------------------
 */

/* The directory that relative paths in a file begin at. */
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

struct texts {
	char *text; /* of all of them */
	size_t length;
	struct policy_part part[POLICY_PARTS_MAX];
	char folder[POLICY_PARTS_MAX][PATH_MAX];
	char name[256]; /* of all of them together */
};

static int add_text(struct texts *texts, size_t index, const char *text, size_t length,
		    struct err *err)
{
	char *more;

	if (length > POLICY_FILE_MAX || texts->length + length > POLICY_FILE_MAX)
		return err_set(err, EFBIG, "%.100s: larger than %u KiB%s", texts->part[index].name,
			       POLICY_FILE_MAX >> 10,
			       length > POLICY_FILE_MAX ? "" : " together with those before it");
	more = realloc(texts->text, texts->length + length + 1);
	if (!more)
		return err_set(err, ENOMEM, "out of memory");
	texts->text = more;
	memcpy(more + texts->length, text, length);
	texts->length += length;
	texts->part[index].length = length;
	return 0;
}

static int read_part(struct texts *texts, size_t index, const char *name, const char *cwd,
		     struct err *err)
{
	struct policy_part *part = &texts->part[index];
	const char *preset = policy_preset_text(name);
	char *text = NULL;
	size_t length, used = strlen(texts->name);
	int ret;

	part->name = policy_text_name(name);
	part->directory = texts->folder[index];
	snprintf(texts->name + used, sizeof(texts->name) - used, "%s%s", index ? "+" : "",
		 part->name);
	memcpy(texts->folder[index], cwd, PATH_MAX);
	if (preset)
		return add_text(texts, index, preset, strlen(preset), err);
	ret = policy_text_read(name, &text, &length, err);
	if (ret == -ENOENT && !strchr(name, '/'))
		return err_set(err, ENOENT,
			       "policy %s: no such file, and no preset (see 'cordon policy "
			       "presets')",
			       name);
	if (ret == 0 && policy_text_fd(name) < 0)
		ret = folder_of(name, texts->folder[index], err);
	if (ret == 0)
		ret = add_text(texts, index, text, length, err);
	free(text);
	return ret;
}

int policy_load(struct policy **policy, const struct policy_options *options, struct err *err)
{
	static const char *const none[] = {"locked"};
	const char *const *name = options->policies ? options->policy : none;
	size_t count = options->policies ? options->policies : 1, i;
	struct texts *texts = calloc(1, sizeof(*texts));
	char cwd[PATH_MAX] = "";
	struct policy_source source = {
		.cwd = cwd,
		.home = getenv("HOME"),
		.share = options->share,
		.shares = options->shares,
		.allow_net = options->allow_net,
		.allow_nets = options->allow_nets,
		.rootfs = options->rootfs,
		.lenient = options->lenient,
	};
	int ret = 0;

	*policy = NULL;
	if (!texts)
		return err_set(err, ENOMEM, "out of memory");
	if (!getcwd(cwd, sizeof(cwd)))
		ret = err_sys(err, "the working directory");
	if (source.home && source.home[0] != '/')
		source.home = NULL;
	for (i = 0; i < count && ret == 0; i++)
		ret = read_part(texts, i, name[i], cwd, err);
	if (ret == 0) {
		source.name = texts->name;
		source.directory = texts->part[0].directory;
		source.part = texts->part;
		source.parts = count > 1 ? count : 0;
		ret = policy_parse(policy, texts->text, texts->length, &source, err);
	}
	free(texts->text);
	free(texts);
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
	if (ret < 0) {
		free(copy);
		return ret;
	}
	options->share_path[options->shares] = copy;
	options->share[options->shares++] = share;
	return 0;
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
