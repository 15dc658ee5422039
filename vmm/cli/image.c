/* SPDX-License-Identifier: Apache-2.0 */
/* cordon image: the cache of unpacked images, and images as files. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vmm/base/bytes.h"
#include "vmm/base/log.h"
#include "vmm/base/text.h"
#include "vmm/cli/fields.h"
#include "vmm/cli/print.h"
#include "vmm/cli/verb.h"
#include "vmm/image/cache.h"
#include "vmm/image/convert.h"

struct image_options {
	const char *tag, *ref;
	bool json, quiet;
};

static int set_tag(void *arg, const char *value, struct err *err)
{
	((struct image_options *)arg)->tag = value;
	return image_check_tag(value, err);
}

static const struct option_entry build_entries[] = {
	{"tag", 't', OPTION_CALL, "NAME",
	 "name of the image in the cache (default: those that the archive gives it)",
	 "The names of an archive are its RepoTags, or annotations of an OCI index "
	 "(`io.containerd.image.name`, `org.opencontainers.image.ref.name`). None of them takes a "
	 "name away from another image: `--tag` does.",
	 .set = set_tag},
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
	{"quiet", 'q', OPTION_FLAG, NULL, "print only the IDs",
	 .offset = offsetof(struct image_options, quiet)},
};

static const struct option_table build_table = {"Options of build", build_entries,
						ARRAY_SIZE(build_entries)};
static const struct option_table convert_table = {"Options of convert", convert_entries,
						  ARRAY_SIZE(convert_entries)};
static const struct option_table list_table = {"Options of ls", list_entries,
					       ARRAY_SIZE(list_entries)};

/* --- the list --------------------------------------------------------------------------------- */

#define ID_DIGITS 12

/* "5 minutes ago" */
static const char *age_text(char text[32], json_int_t created)
{
	static const struct {
		long long seconds;
		const char *name;
	} units[] = {
		{86400, "day"},
		{3600, "hour"},
		{60, "minute"},
		{1, "second"},
	};
	long long age = time(NULL) - created, count;
	size_t i;

	for (i = 0; i + 1 < ARRAY_SIZE(units) && age < units[i].seconds; i++)
		;
	count = age > 0 ? age / units[i].seconds : 0;
	snprintf(text, 32, "%lld %s%s ago", count, units[i].name, count == 1 ? "" : "s");
	return text;
}

static void print_image(const json_t *image)
{
	const json_t *names = json_object_get(image, "names");
	size_t i, count = json_array_size(names);
	const char *name;
	char age[32];

	age_text(age, number_in(image, "created"));
	for (i = 0; i < count || i == 0; i++) {
		name = json_string_value(json_array_get(names, i));
		text_line(stdout, "%-32s %-*.*s  %-16s %9.1fM", name ? name : "-", ID_DIGITS,
			  ID_DIGITS, cell_in(image, "id"), age,
			  (double)number_in(image, "bytes") / 1048576);
	}
}

/* The newest first. */
static int by_time(const void *left, const void *right)
{
	long long one = number_in(*(const json_t *const *)left, "created");
	long long other = number_in(*(const json_t *const *)right, "created");

	return one < other ? 1 : one > other ? -1 : 0;
}

static int print_images(const json_t *images, bool quiet, struct err *err)
{
	size_t count = json_array_size(images), i;
	const json_t **sorted = calloc(count + 1, sizeof(json_t *));

	if (!sorted)
		return err_set(err, ENOMEM, "out of memory");
	for (i = 0; i < count; i++)
		sorted[i] = json_array_get(images, i);
	qsort(sorted, count, sizeof(json_t *), by_time);
	if (!quiet)
		printf("%-32s %-*s  %-16s %10s\n", "NAME", ID_DIGITS, "ID", "CREATED", "SIZE");
	for (i = 0; i < count; i++) {
		if (quiet)
			printf("%.*s\n", ID_DIGITS, cell_in(sorted[i], "id"));
		else
			print_image(sorted[i]);
	}
	free(sorted);
	return 0;
}

static int list(int argc, char **argv, struct err *err)
{
	struct image_options options = {.json = false};
	const struct option_set set = {&list_table, &options};
	static const struct verb_words words = {&verb_image, "ls", 0, 0, NULL};
	int ret = verb_words(&words, &set, 1, argc, argv, err);
	json_t *images;

	if (ret < 0)
		return ret;
	images = image_list(err);
	if (!images)
		return -EIO;
	if (options.json)
		print_json(images, JSON_INDENT(2));
	else
		ret = print_images(images, options.quiet, err);
	json_decref(images);
	return ret;
}

/* --- build, convert and rm -------------------------------------------------------------------- */

static const char *source_name(const char *path)
{
	return strcmp(path, "-") == 0 ? "standard input" : path;
}

static int build(int argc, char **argv, struct err *err)
{
	struct image_options options = {.tag = ""};
	const struct option_set sets[] = {
		{&build_table, &options},
		{&quiet_option_table, NULL},
	};
	static const struct verb_words words = {&verb_image, "build", 1, 1, "of which archive?"};
	struct digest id;
	int ret = verb_words(&words, sets, ARRAY_SIZE(sets), argc, argv, err);

	if (ret < 0)
		return ret;
	log_progress("unpacking %s", source_name(argv[1]));
	ret = image_build(argv[1], options.ref, options.tag, &id, err);
	if (ret < 0)
		return ret;
	printf("sha256:%s\n", id.hex);
	return 0;
}

static int convert(int argc, char **argv, struct err *err)
{
	struct image_options options = {.ref = NULL};
	const struct option_set sets[] = {
		{&convert_table, &options},
		{&quiet_option_table, NULL},
	};
	static const struct verb_words words = {&verb_image, "convert", 2, 2,
						"from which archive, into which file?"};
	struct digest id;
	int ret = verb_words(&words, sets, ARRAY_SIZE(sets), argc, argv, err);

	if (ret < 0)
		return ret;
	log_progress("converting %s", source_name(argv[1]));
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
static const struct option_table *const build_tables[] = {&build_table, &quiet_option_table, NULL};
static const struct option_table *const convert_tables[] = {&convert_table, &quiet_option_table,
							    NULL};

static const struct subverb subverbs[] = {
	{"ls", "[--json | -q]",
	 "List the unpacked images, the newest first. CREATED is when they were unpacked.",
	 list_tables, list},
	{"build", "PATH|- [--tag NAME] [--ref NAME]",
	 "Unpack an image for `--rootfs`, and print its digest. PATH is an OCI image layout (a "
	 "directory or an archive), the output of `docker save`, or a root file system as a tar "
	 "archive, such as the output of `docker export`, which has no variables, user, working "
	 "directory or command. Archives may be compressed by gzip or zstd. `-` reads standard "
	 "input.",
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
		    "  docker save alpine | cordon image build -\n"
		    "  docker export box | cordon image build - --tag box\n"
		    "  cordon run --rootfs alpine -- sh",
	.see_also = "run",
};
