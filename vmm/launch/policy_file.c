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

/* The directory that relative paths in a policy file start at. */
static int directory_of(const char *path, char directory[PATH_MAX], struct err *err)
{
	char copy[PATH_MAX], *slash;

	snprintf(copy, sizeof(copy), "%s", path);
	slash = strrchr(copy, '/');
	if (!slash)
		strcpy(copy, ".");
	else
		slash[slash == copy] = '\0';
	return realpath(copy, directory) ? 0 : err_sys(err, "policy %s: directory %s", path, copy);
}

struct texts {
	char *text; /* of all of them */
	size_t length;
	struct policy_part part[POLICY_PARTS_MAX];
	char directory[POLICY_PARTS_MAX][PATH_MAX];
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
	const char *preset = policy_preset_text(name), *near;
	char *text = NULL;
	size_t length, used = strlen(texts->name);
	int ret;

	part->name = policy_text_name(name);
	part->directory = texts->directory[index];
	snprintf(texts->name + used, sizeof(texts->name) - used, "%s%s", index ? "+" : "",
		 part->name);
	memcpy(texts->directory[index], cwd, PATH_MAX);
	if (preset)
		return add_text(texts, index, preset, strlen(preset), err);
	ret = policy_text_read(name, &text, &length, err);
	near = ret == -ENOENT ? policy_preset_near(name) : NULL;
	if (near)
		return err_set(err, ENOENT,
			       "policy %s: no such file, and no preset: did you mean '%s'?", name,
			       near);
	if (ret == -ENOENT && !strchr(name, '/'))
		return err_set(err, ENOENT,
			       "policy %s: no such file, and no preset (see 'cordon policy "
			       "presets')",
			       name);
	if (ret == 0 && policy_text_fd(name) < 0)
		ret = directory_of(name, texts->directory[index], err);
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
