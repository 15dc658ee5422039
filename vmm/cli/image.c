/* SPDX-License-Identifier: Apache-2.0 */
/* cordon image: the cache of unpacked images, and images as files. */
#include <errno.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/log.h"
#include "vmm/base/text.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/print.h"
#include "vmm/image/cache.h"
#include "vmm/image/convert.h"

struct image_options {
	const char *tag, *ref;
	bool json;
};

static int set_tag(void *arg, const char *value, struct err *err)
{
	((struct image_options *)arg)->tag = value;
	return image_check_tag(value, err);
}

static const struct option_entry build_entries[] = {
	{"tag", 0, OPTION_CALL, "NAME", "name of the image in the cache", .set = set_tag},
	{"ref", 0, OPTION_STRING, "NAME",
	 "the image to take if PATH has several: its reference name or tag",
	 .offset = offsetof(struct image_options, ref)},
};

static const struct option_entry convert_entries[] = {
	{"ref", 0, OPTION_STRING, "NAME",
	 "the image to take if PATH has several: its reference name or tag",
	 .offset = offsetof(struct image_options, ref)},
};

static const struct option_entry list_entries[] = {
	{"json", 0, OPTION_FLAG, NULL, "print a list of JSON objects",
	 .offset = offsetof(struct image_options, json)},
};

static const struct option_table build_table = {"Options of build", build_entries,
						ARRAY_SIZE(build_entries)};
static const struct option_table convert_table = {"Options of convert", convert_entries,
						  ARRAY_SIZE(convert_entries)};
static const struct option_table list_table = {"Options of ls", list_entries,
					       ARRAY_SIZE(list_entries)};

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

static int list(int argc, char **argv, struct err *err)
{
	struct image_options options = {.json = false};
	const struct option_set set = {&list_table, &options};
	static const struct verb_words words = {&verb_image, "ls", 0, 0, NULL};
	int ret = verb_words(&words, &set, 1, argc, argv, err);
	json_t *images;
	size_t i;

	if (ret < 0)
		return ret;
	images = image_list(err);
	if (!images)
		return -EIO;
	if (options.json) {
		print_json(images, JSON_INDENT(2));
	} else {
		printf("%-28s %-12s %10s  %s\n", "NAME", "DIGEST", "SIZE", "UNPACKED");
		for (i = 0; i < json_array_size(images); i++)
			print_image(json_array_get(images, i));
	}
	json_decref(images);
	return 0;
}

/* --- build, convert and rm -------------------------------------------------------------------- */

static int build(int argc, char **argv, struct err *err)
{
	struct image_options options = {.tag = NULL};
	const struct option_set set = {&build_table, &options};
	static const struct verb_words words = {&verb_image, "build", 1, 1, "of which archive?"};
	struct digest id;
	int ret = verb_words(&words, &set, 1, argc, argv, err);

	if (ret < 0)
		return ret;
	log_progress("unpacking %s", argv[1]);
	ret = image_build(argv[1], options.ref, options.tag, &id, err);
	if (ret < 0)
		return ret;
	printf("sha256:%s\n", id.hex);
	return 0;
}

static int convert(int argc, char **argv, struct err *err)
{
	struct image_options options = {.ref = NULL};
	const struct option_set set = {&convert_table, &options};
	static const struct verb_words words = {&verb_image, "convert", 2, 2,
						"from which archive, into which file?"};
	struct digest id;
	int ret = verb_words(&words, &set, 1, argc, argv, err);

	if (ret < 0)
		return ret;
	log_progress("converting %s", argv[1]);
	ret = image_convert(argv[1], options.ref, argv[2], &id, err);
	if (ret < 0)
		return ret;
	printf("sha256:%s\n", id.hex);
	return 0;
}

static int remove_images(int argc, char **argv, struct err *err)
{
	static const struct verb_words words = {&verb_image, "rm", 1, VERB_WORDS_ANY,
						"which image?"};
	int i, count = verb_words(&words, NULL, 0, argc, argv, err), ret = 0;

	for (i = 1; i <= count && ret == 0; i++)
		ret = image_remove(argv[i], err);
	return count < 0 ? count : ret;
}

static const struct option_table *const list_tables[] = {&list_table, NULL};
static const struct option_table *const build_tables[] = {&build_table, NULL};
static const struct option_table *const convert_tables[] = {&convert_table, NULL};

static const struct subverb subverbs[] = {
	{"ls", "[--json]", "List the unpacked images.", list_tables, list},
	{"build", "PATH [--tag NAME] [--ref NAME]",
	 "Unpack an OCI image layout (a directory or a tar file) or the output of `docker save` "
	 "for `--rootfs`, and print its digest.",
	 build_tables, build},
	{"convert", "[--ref NAME] PATH FILE",
	 "Write such an image to FILE as an erofs file system, with all owners, modes, devices and "
	 "attributes, and print its digest. `--rootfs FILE` runs it from a disk; variables, user "
	 "and "
	 "command of the image are not in it.",
	 convert_tables, convert},
	{"rm", "NAME|DIGEST ...",
	 "Remove a name, and with its last name the image, unless a sandbox uses it.", NULL,
	 remove_images},
	{NULL, NULL, NULL, NULL, NULL},
};

const struct verb verb_image = {
	.name = "image",
	.group = VERB_IMAGES,
	.summary = "the cache of unpacked OCI images",
	.description = "The cache is `~/.cache/cordon/images`, or `$XDG_CACHE_HOME/cordon/images`.",
	.subverbs = subverbs,
	.examples = "  cordon image build alpine.tar --tag alpine\n"
		    "  cordon run --rootfs alpine -- sh",
	.see_also = "run",
};
