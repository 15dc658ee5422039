/* SPDX-License-Identifier: Apache-2.0 */
/* cordon image: the cache of unpacked images. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/log.h"
#include "vmm/base/text.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/print.h"
#include "vmm/image/cache.h"

struct image_options {
	const char *tag, *ref;
	bool json;
};

static int set_tag(void *arg, const char *value, struct err *err)
{
	((struct image_options *)arg)->tag = value;
	return image_check_tag(value, err);
}

static int set_ref(void *arg, const char *value, struct err *err)
{
	(void)err;
	((struct image_options *)arg)->ref = value;
	return 0;
}

static int set_json(void *arg, const char *value, struct err *err)
{
	(void)value;
	(void)err;
	((struct image_options *)arg)->json = true;
	return 0;
}

static const struct cli_option build_option_table[] = {
	{"tag", 0, "NAME", "what the image shall be called here", set_tag},
	{"ref", 0, "NAME", "which of several images in PATH, as its maker called it", set_ref},
};

static const struct cli_option list_option_table[] = {
	{"json", 0, NULL, "as JSON", set_json},
};

void help_image(void)
{
	printf("\n  ls [--json]      list the unpacked images\n"
	       "  build PATH       unpack an OCI image layout (a folder, or a tar file of it) or\n"
	       "                   what 'docker save' wrote, for --rootfs\n"
	       "  rm NAME|DIGEST   remove a name, and the image with its last one\n"
	       "\nOptions of build:\n");
	cli_print_options(build_option_table, ARRAY_SIZE(build_option_table));
}

/* --- the list --------------------------------------------------------------------------------- */

static void print_image(const json_t *image)
{
	const json_t *names = json_object_get(image, "names");
	time_t created = (time_t)json_integer_value(json_object_get(image, "created"));
	size_t i, count = json_array_size(names);
	const char *name;
	char when[32];
	struct tm tm;

	localtime_r(&created, &tm);
	strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	for (i = 0; i < count || i == 0; i++) {
		name = json_string_value(json_array_get(names, i));
		text_line(stdout, "%-28s %-12.12s %9.1fM  %s", name ? name : "-",
			  json_string_value(json_object_get(image, "id")),
			  (double)json_integer_value(json_object_get(image, "bytes")) / 1048576,
			  when);
	}
}

static int list(const struct image_options *options, struct err *err)
{
	json_t *images = image_list(err);
	size_t i;

	if (!images)
		return -EIO;
	if (options->json) {
		print_json(images, JSON_INDENT(2));
	} else {
		printf("%-28s %-12s %10s  %s\n", "NAME", "DIGEST", "SIZE", "UNPACKED");
		for (i = 0; i < json_array_size(images); i++)
			print_image(json_array_get(images, i));
	}
	json_decref(images);
	return 0;
}

/* --- the others ------------------------------------------------------------------------------- */

static int build(const struct image_options *options, const char *path, struct err *err)
{
	struct digest id;
	int ret;

	if (isatty(STDERR_FILENO))
		text_line(stderr, "cordon: unpacking %s", path);
	ret = image_build(path, options->ref, options->tag, &id, err);
	if (ret >= 0)
		printf("sha256:%s\n", id.hex);
	return ret;
}

static int run(int argc, char **argv, struct err *err)
{
	const char *what = argc > 0 ? argv[0] : "";
	struct image_options options = {.tag = NULL};
	const struct cli_options tables[] = {
		{build_option_table, ARRAY_SIZE(build_option_table), &options},
		{list_option_table, ARRAY_SIZE(list_option_table), &options},
	};
	bool building = strcmp(what, "build") == 0;
	const char *path = NULL;
	int at = 0, rest, ret = 0;
	char verb[] = "image build"; /* the longest */

	snprintf(verb, sizeof(verb), "image %s", what);
	if (argc > 0)
		argv[0] = verb;
	if (building || strcmp(what, "ls") == 0)
		at = cli_parse(building ? &tables[0] : &tables[1], 1, argc, argv, err);
	if (at < 0)
		return at;
	if (building && at < argc) { /* options may also stand after the path */
		path = argv[at];
		argv[at] = argv[0];
		rest = cli_parse(&tables[0], 1, argc - at, argv + at, err);
		if (rest < 0)
			return rest;
		at += rest;
	}
	if (path && at == argc)
		return build(&options, path, err);
	if (strcmp(what, "ls") == 0 && at == argc)
		return list(&options, err);
	if (strcmp(what, "rm") == 0 && argc > 1) {
		for (at = 1; at < argc && ret == 0; at++)
			ret = image_remove(argv[at], err);
		return ret;
	}
	return err_set(
		err, EINVAL,
		"image: cordon image ls [--json] | build PATH [--tag NAME] | rm NAME|DIGEST");
}

int cmd_image(int argc, char **argv)
{
	struct err err = {.text = ""};
	int ret = run(argc - 1, argv + 1, &err);

	if (ret < 0)
		log_error("%s", err.text);
	return ret < 0 ? EXIT_CORDON : 0;
}
