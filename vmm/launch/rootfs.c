/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/launch/rootfs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/log.h"

/* --- finding it ------------------------------------------------------------------------------- */

static int use_directory(const char *path, struct root_config *config, struct err *err)
{
	struct stat status;

	if (!realpath(path, config->directory) || stat(config->directory, &status) < 0)
		return err_sys(err, "%s", path);
	if (!S_ISDIR(status.st_mode))
		return err_set(err, ENOTDIR, "%s: is not a directory", path);
	if (strcmp(config->directory, "/") == 0)
		return err_set(err, EINVAL,
			       "%s: the whole host is no root file system for a sandbox: "
			       "'--rootfs host' shows its programs",
			       path);
	return 0;
}

static int use_image(const struct digest *id, struct root_config *config, json_t **settings,
		     struct err *err)
{
	struct image image;
	int ret = image_open(&image, id, err);

	if (ret < 0)
		return ret;
	*settings = json_incref(image.settings);
	config->cached = *id;
	image_close(&image);
	return 0;
}

static int use_source(const char *path, struct root_config *config, json_t **settings,
		      struct err *err)
{
	struct digest id;
	int ret;

	if (strcmp(path, "-") == 0)
		return err_set(err, EINVAL,
			       "oci:-: standard input is the command's: first 'cordon image build "
			       "- --tag NAME'");
	ret = image_build(path, NULL, NULL, &id, err);
	if (ret < 0)
		return ret;
	if (ret > 0)
		log_info("%s: unpacked into the cache as sha256:%.12s", path, id.hex);
	return use_image(&id, config, settings, err);
}

/* Recognised by the two files that every OCI image layout has. */
static bool is_layout(const char *path)
{
	static const char *const files[] = {"oci-layout", "index.json"};
	char file[PATH_MAX];
	struct stat status;
	size_t i;

	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if ((size_t)snprintf(file, sizeof(file), "%s/%s", path, files[i]) >= sizeof(file) ||
		    lstat(file, &status) < 0 || !S_ISREG(status.st_mode))
			return false;
	return true;
}

/*
 * A file is an archive by its name, never by what is in it: a raw image that a guest once wrote to
 * must not turn into something else.
 */
static bool is_archive_name(const char *path)
{
	static const char *const ends[] = {".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.xz"};
	size_t length = strlen(path), i;

	for (i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (length > strlen(ends[i]) &&
		    strcmp(path + length - strlen(ends[i]), ends[i]) == 0)
			return true;
	return false;
}

static int use_path(const char *path, struct root_config *config, json_t **settings,
		    struct err *err)
{
	struct stat status;

	if (stat(path, &status) == 0 && S_ISDIR(status.st_mode))
		return is_layout(path) ? use_source(path, config, settings, err)
				       : use_directory(path, config, err);
	if (is_archive_name(path))
		return use_source(path, config, settings, err);
	return root_parse(config, path, err);
}

/* A value without a slash: the name of an image, else of a file. */
static int use_name(const char *name, struct root_config *config, json_t **settings,
		    struct err *err)
{
	struct err why;
	struct digest id;
	int ret = image_find(name, &id, err);

	if (ret == 0)
		return use_image(&id, config, settings, err);
	if (ret != -ENOENT)
		return ret;
	ret = use_path(name, config, settings, &why);
	if (ret == -ENOENT && access(name, F_OK) < 0)
		return err_set(
			err, ENOENT,
			"%.200s: neither an image of the cache (cordon image ls) nor a file or "
			"directory here",
			name);
	if (ret < 0)
		*err = why;
	return ret;
}

int rootfs_resolve(const char *value, struct root_config *config, json_t **settings,
		   struct err *err)
{
	struct digest id;
	int ret;

	*settings = NULL;
	if (strcmp(value, "host") == 0) {
		config->host = true;
		return 0;
	}
	if (strncmp(value, "dir:", 4) == 0)
		return use_directory(value + 4, config, err);
	if (strncmp(value, "raw:", 4) == 0)
		return root_parse(config, value + 4, err);
	if (strncmp(value, "oci:", 4) == 0)
		return use_source(value + 4, config, settings, err);
	if (strncmp(value, "image:", 6) == 0) {
		ret = image_find(value + 6, &id, err);
		return ret < 0 ? ret : use_image(&id, config, settings, err);
	}
	if (strncmp(value, "sha256:", 7) == 0 || (!strchr(value, '/') && value[0] != '.'))
		return use_name(value, config, settings, err);
	return use_path(value, config, settings, err);
}

bool rootfs_is_served(const struct root_config *config)
{
	return config->host || config->directory[0];
}

/* --- settings of an image --------------------------------------------------------------------- */

/* Adds the image's variables that the command line does not set. */
static int add_variables(const json_t *list, struct command_options *options, struct err *err)
{
	const char *variable;
	size_t i;

	for (i = 0; i < json_array_size(list); i++) {
		variable = json_string_value(json_array_get(list, i));
		if (agent_env_has(options->env, options->env_count, variable))
			continue;
		if (options->env_count == COMMAND_ENV_MAX)
			return err_set(err, E2BIG, "more than %d variables, with the image's",
				       COMMAND_ENV_MAX);
		options->env[options->env_count++] = variable;
	}
	return 0;
}

int rootfs_apply_settings(const json_t *settings, struct command_options *options, struct err *err)
{
	const char *workdir = json_string_value(json_object_get(settings, "workdir"));
	const char *user = json_string_value(json_object_get(settings, "user"));
	int ret = add_variables(json_object_get(settings, "env"), options, err);

	if (!options->workdir && workdir && workdir[0] == '/')
		options->workdir = workdir;
	/* An image without a user means its root, with the groups that root has there. */
	if (!options->user)
		options->user = user && user[0] ? user : "0";
	return ret;
}

char **rootfs_command(const json_t *settings)
{
	static const char *const lists[] = {"entrypoint", "cmd"};
	const json_t *list;
	char **argv;
	size_t i, k, count = 0;

	for (k = 0; k < 2; k++)
		count += json_array_size(json_object_get(settings, lists[k]));
	argv = count > 0 ? calloc(count + 1, sizeof(char *)) : NULL;
	for (k = 0, count = 0; argv && k < 2; k++) {
		list = json_object_get(settings, lists[k]);
		for (i = 0; i < json_array_size(list); i++)
			argv[count++] = (char *)json_string_value(json_array_get(list, i));
	}
	return argv;
}
