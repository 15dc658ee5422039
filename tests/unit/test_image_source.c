/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptions of images: directories and archives, of OCI and docker, valid and invalid. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/forged_image.h"
#include "tests/support/unit.h"
#include "vmm/base/fd.h"
#include "vmm/image/manifest.h"
#include "vmm/image/tar.h"

#define CONFIG                                                                               \
	"{\"os\":\"linux\",\"architecture\":\"amd64\",\"config\":{\"Env\":[\"A=1\",\"B=\"]," \
	"\"Entrypoint\":[\"/bin/sh\",\"-c\"],\"Cmd\":null,\"WorkingDir\":\"/w\",\"User\":\"u\"}}"

static struct forged_image image;
static struct image_manifest found;
static struct err err;

static void make(const char *config)
{
	static struct forged_layer layer;
	const struct forged_entry first[] = {{'0', "x", "1"}, {.type = 0}};
	const struct forged_entry second[] = {{'0', "y", "2"}, {.type = 0}};

	forged_create(&image);
	forged_layer(&layer, first);
	forged_add(&image, &layer, COMPRESSION_NONE);
	forged_layer(&layer, second);
	forged_add(&image, &layer, COMPRESSION_GZIP);
	forged_oci(&image, config);
}

static int read_path(const char *path, const char *ref)
{
	struct image_source source;
	int ret;

	err.text[0] = '\0';
	ret = image_source_open(&source, path, &err);
	if (ret == 0)
		ret = image_manifest_read(&found, &source, ref, &err);
	image_source_close(&source);
	ck_assert_msg(ret == 0 || err.text[0], "an error without a message");
	if (ret < 0)
		image_manifest_clear(&found);
	return ret;
}

static int read_directory(const char *ref)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/src", image.base);
	return read_path(path, ref);
}

static void check_found(bool stored)
{
	ck_assert_uint_eq(found.layer_count, 2);
	ck_assert(digest_equal(&found.layers[1].unpacked, &image.manifest.layers[1].unpacked));
	ck_assert(!stored ||
		  digest_equal(&found.layers[1].stored, &image.manifest.layers[1].stored));
	ck_assert_str_eq(json_string_value(json_object_get(found.settings, "workdir")), "/w");
	ck_assert_uint_eq(json_array_size(json_object_get(found.settings, "env")), 2);
	ck_assert_uint_eq(json_array_size(json_object_get(found.settings, "entrypoint")), 2);
	ck_assert_uint_eq(json_array_size(json_object_get(found.settings, "cmd")), 0);
	image_manifest_clear(&found);
}

/* All files of the source in one tar. */
static void archive(const char *options)
{
	char command[300];

	snprintf(command, sizeof(command), "tar -cf %s/image.tar %s -C %s/src .", image.base,
		 options, image.base);
	ck_assert_int_eq(system(command), 0);
}

static int read_archive(const char *ref)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/image.tar", image.base);
	return read_path(path, ref);
}

START_TEST(layouts_are_read_from_directories_and_archives)
{
	make(CONFIG);
	ck_assert_msg(read_directory(NULL) == 0, "%s", err.text);
	check_found(true);
	archive("");
	ck_assert_msg(read_archive(NULL) == 0, "%s", err.text);
	check_found(true);
	archive("-P --transform=s,^,/,");
	ck_assert_msg(read_archive(NULL) == 0, "%s", err.text);
	check_found(true);
	archive("--format=pax");
	ck_assert_msg(read_archive(NULL) == 0, "%s", err.text);
	check_found(true);
	setenv("XDG_CACHE_HOME", image.base, 1);
	archive("-z");
	ck_assert_msg(read_archive(NULL) == 0, "%s", err.text);
	check_found(true);
	archive("--zstd");
	ck_assert_msg(read_archive(NULL) == 0, "%s", err.text);
	check_found(true);
	archive("-J");
	ck_assert_int_eq(read_archive(NULL), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(err.text, "xz: decompress it first"));
	forged_destroy(&image);
}
END_TEST

/* As `docker save` did before it wrote OCI layouts: directories of layers, links for equal ones. */
static void make_docker(const char *first, const char *config_name, const char *more)
{
	const char *suffix = config_name && strchr(config_name, ':') ? "" : ".json";
	char text[1024], config[1024];
	struct digest digest;
	int length;

	length = snprintf(config, sizeof(config),
			  "{\"rootfs\":{\"diff_ids\":[\"sha256:%s\",\"sha256:%s\"]},%s",
			  image.manifest.layers[0].unpacked.hex,
			  image.manifest.layers[1].unpacked.hex, &CONFIG[1]);
	digest_of(&digest, config, (size_t)length);
	snprintf(text, sizeof(text), "%s%s", config_name ? config_name : digest.hex, suffix);
	forged_write(&image, text, config, (size_t)length);
	length = snprintf(text, sizeof(text),
			  "[{\"Config\":\"%s%s\",\"RepoTags\":[\"a/b:1\",\"c\"],\"Layers\":[\"%s\","
			  "\"two/layer.tar\"]}%s]",
			  config_name ? config_name : digest.hex, suffix, first, more);
	forged_write(&image, "manifest.json", text, (size_t)length);
}

START_TEST(docker_archives_are_read)
{
	struct image_source source;
	struct image_blob blob;
	struct digest digest;
	char path[128];

	make(CONFIG);
	ck_assert_int_eq(mkdirat(image.src_fd, "one", 0755), 0);
	ck_assert_int_eq(mkdirat(image.src_fd, "two", 0755), 0);
	ck_assert_int_eq(renameat(image.src_fd, "layer1", image.src_fd, "two/layer.tar"), 0);
	ck_assert_int_eq(symlinkat("../two/layer.tar", image.src_fd, "one/layer.tar"), 0);
	ck_assert_int_eq(symlinkat("../../two/layer.tar", image.src_fd, "one/out"), 0);
	ck_assert_int_eq(symlinkat("loop", image.src_fd, "loop"), 0);
	make_docker("layer0", NULL, "");
	archive("");
	ck_assert_msg(read_archive(NULL) == 0, "%s", err.text);
	check_found(false);
	ck_assert_msg(read_archive("a/b:1") == 0, "%s", err.text);
	ck_assert_uint_eq(json_array_size(found.tags), 2);
	ck_assert_str_eq(json_string_value(json_array_get(found.tags, 1)), "c");
	check_found(false);
	ck_assert_int_eq(read_archive("a/b:2"), -ENOENT);
	snprintf(path, sizeof(path), "%s/image.tar", image.base);
	ck_assert_int_eq(image_source_open(&source, path, &err), 0);
	ck_assert_int_eq(image_source_find(&source, "one/layer.tar", &blob, &err), 0);
	ck_assert_uint_eq(blob.size, image.manifest.layers[1].size);
	image_blob_close(&blob);
	ck_assert_int_eq(image_source_find(&source, "one/out", &blob, &err), -ENOENT);
	ck_assert_int_eq(image_source_find(&source, "loop", &blob, &err), -ELOOP);
	image_source_close(&source);
	make_docker("layer0", NULL, ",{}");
	ck_assert_int_eq(read_directory(NULL), -EINVAL); /* which of two? */
	ck_assert_ptr_nonnull(strstr(err.text, "(its RepoTag): a/b:1, c"));
	ck_assert_msg(read_directory("c") == 0, "%s", err.text);
	check_found(false);
	/* Some tools name it otherwise: the digest is that of its bytes. */
	make_docker("layer0", "config", "");
	ck_assert_msg(read_directory(NULL) == 0, "%s", err.text);
	digest = found.id;
	check_found(false);
	snprintf(path, sizeof(path), "sha256:%s", digest.hex);
	make_docker("layer0", path, "");
	ck_assert_msg(read_directory(NULL) == 0, "%s", err.text);
	ck_assert(digest_equal(&digest, &found.id));
	check_found(false);
	memset(path + 7, '0', DIGEST_HEX);
	make_docker("layer0", path, "");
	ck_assert_int_lt(read_directory(NULL), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "digest"));
	make_docker("layer0", "0000000000000000000000000000000000000000000000000000000000000000",
		    "");
	ck_assert_int_lt(read_directory(NULL), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "digest"));
	forged_destroy(&image);
}
END_TEST

/* One thing of the description broken at a time. */
START_TEST(broken_configurations_are_refused)
{
	static const struct {
		const char *config;
		bool right;
	} cases[] = {
		{CONFIG, true},
		{"{\"os\":\"linux\",\"architecture\":\"amd64\"}", true},
		{"{\"os\":\"linux\",\"architecture\":\"arm64\"}", false},
		{"{\"os\":\"windows\",\"architecture\":\"amd64\"}", false},
		{"{}", false},
		{"{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"diff_ids\":[]}}",
		 false},
		{"{\"os\":\"linux\",\"architecture\":\"amd64\",\"rootfs\":{\"diff_ids\":[1,2]}}",
		 false},
		{"{\"os\":\"linux\",\"architecture\":\"amd64\",\"config\":{\"Env\":{}}}", false},
		{"{\"os\":\"linux\",\"architecture\":\"amd64\",\"config\":{\"Env\":[\"A\"]}}",
		 false},
		{"{\"os\":\"linux\",\"architecture\":\"amd64\",\"config\":{\"Env\":[\"=A\"]}}",
		 false},
		{"{\"os\":\"linux\",\"architecture\":\"amd64\",\"config\":{\"Env\":[\"A=\"]}}",
		 true},
		{"{\"os\":\"linux\",\"architecture\":\"amd64\",\"config\":{\"Cmd\":[1]}}", false},
		{"{\"os\":\"linux\",\"architecture\":\"amd64\",\"config\":{\"Cmd\":\"sh\"}}",
		 false},
		{"{\"os\":\"linux\",\"architecture\":\"amd64\",\"config\":{\"User\":7}}", false},
		{"{\"os\":\"linux\",\"architecture\":\"amd64\",\"config\":{\"User\":null}}", true},
	};
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		make(cases[i].config);
		ret = read_directory(NULL);
		ck_assert_msg((ret == 0) == cases[i].right, "%s: %s", cases[i].config, err.text);
		image_manifest_clear(&found);
		forged_destroy(&image);
	}
}
END_TEST

START_TEST(broken_indexes_are_refused)
{
	static const char *const indexes[] = {
		"",
		"{",
		"[]",
		"{}",
		"{\"manifests\":{}}",
		"{\"manifests\":[1]}",
		"{\"manifests\":[{}]}",
		"{\"manifests\":[{\"digest\":\"md5:00\",\"size\":1}]}",
		"{\"manifests\":[{\"digest\":\"sha256:../../../../etc/passwd\",\"size\":1}]}",
		("{\"manifests\":[{\"digest\":\"sha256:"
		 "00000000000000000000000000000000000000000000000000000000000000aa\",\"size\":1}]"
		 "}"),
		"{\"manifests\":[],\"manifests\":[]}",
	};
	size_t i;

	make(CONFIG);
	ck_assert_msg(read_directory(NULL) == 0, "%s", err.text);
	image_manifest_clear(&found);
	for (i = 0; i < ARRAY_SIZE(indexes); i++) {
		forged_write(&image, "index.json", indexes[i], strlen(indexes[i]));
		ck_assert_msg(read_directory(NULL) < 0, "%s", indexes[i]);
	}
	unlinkat(image.src_fd, "index.json", 0);
	ck_assert_int_eq(read_directory(NULL), -ENOENT);
	/* A pipe in a file's place is not waited for, a link not followed. */
	ck_assert_int_eq(mkfifoat(image.src_fd, "index.json", 0600), 0);
	ck_assert_int_lt(read_directory(NULL), 0);
	unlinkat(image.src_fd, "index.json", 0);
	ck_assert_int_eq(symlinkat("/etc/passwd", image.src_fd, "index.json"), 0);
	ck_assert_int_lt(read_directory(NULL), 0);
	forged_destroy(&image);
}
END_TEST

/* The index of a forged image, with other words for its one manifest. */
static void write_index(const char *before, const char *annotations, const char *after)
{
	char text[2048], *old;
	struct image_source source;
	char path[128];

	snprintf(path, sizeof(path), "%s/src", image.base);
	ck_assert_int_eq(image_source_open(&source, path, &err), 0);
	ck_assert_int_gt(image_source_read(&source, "first.json", 1024, &old, &err), 0);
	image_source_close(&source);
	/* {"manifests": [{...}]} */
	snprintf(text, sizeof(text), "{\"manifests\":[%s{%s%.*s%s]}", before, annotations,
		 (int)(strrchr(old, ']') - strchr(old, '[') - 2), strchr(old, '[') + 2, after);
	forged_write(&image, "index.json", text, strlen(text));
	free(old);
}

/* The index with its one entry a second time. */
static void write_twice(void)
{
	struct image_source source;
	char path[128], text[2048], *old;
	int length;

	snprintf(path, sizeof(path), "%s/src", image.base);
	ck_assert_int_eq(image_source_open(&source, path, &err), 0);
	ck_assert_int_gt(image_source_read(&source, "index.json", 1024, &old, &err), 0);
	image_source_close(&source);
	length = (int)(strrchr(old, ']') - strchr(old, '[') - 1);
	snprintf(text, sizeof(text), "{\"manifests\":[%.*s,%.*s]}", length, strchr(old, '[') + 1,
		 length, strchr(old, '[') + 1);
	forged_write(&image, "index.json", text, strlen(text));
	free(old);
}

START_TEST(the_right_one_of_several_is_taken)
{
#define OTHER(platform, name)                                                           \
	"{\"digest\":\"sha256:"                                                         \
	"00000000000000000000000000000000000000000000000000000000000000aa\",\"size\":1" \
	",\"platform\":{" platform                                                      \
	"},\"annotations\":{\"org.opencontainers.image.ref.name\":\"" name "\"}}"
	static const char ours[] =
		"\"annotations\":{\"org.opencontainers.image.ref.name\":\"v2\"},";
	static const char foreign[] = "{\"manifests\":[" OTHER(
		"\"os\":\"linux\",\"architecture\":\"arm64\"",
		"") "," OTHER("\"os\":\"linux\",\"architecture\":\"s390x\"", "x") "]}";

	make(CONFIG);
	ck_assert_int_eq(renameat(image.src_fd, "index.json", image.src_fd, "first.json"), 0);
	write_index(OTHER("\"os\":\"linux\",\"architecture\":\"arm64\"", "x") ",", "", "");
	ck_assert_msg(read_directory(NULL) == 0, "%s", err.text);
	check_found(true);
	forged_write(&image, "index.json", foreign, strlen(foreign));
	ck_assert_int_eq(read_directory(NULL), -ENOENT);
	ck_assert_ptr_nonnull(
		strstr(err.text, "no linux/amd64 image: it has linux/arm64, x (linux/s390x)"));
	write_index("", "", "," OTHER("\"os\":\"unknown\",\"architecture\":\"unknown\"", ""));
	ck_assert_msg(read_directory(NULL) == 0, "%s", err.text);
	check_found(true);
	write_index(OTHER("\"os\":\"linux\",\"architecture\":\"amd64\"", "v1") ",", ours, "");
	ck_assert_int_eq(read_directory(NULL), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "v1 (linux/amd64), v2"));
	ck_assert_msg(read_directory("v2") == 0, "%s", err.text);
	check_found(true);
	ck_assert_int_eq(read_directory("v3"), -ENOENT);
	/* A variant of the platform is for more capable processors than the one without. */
	write_index(
		OTHER("\"os\":\"linux\",\"architecture\":\"amd64\",\"variant\":\"v3\"", "") ",", "",
		"," OTHER("\"os\":\"linux\",\"architecture\":\"amd64\",\"variant\":\"v2\"", ""));
	ck_assert_msg(read_directory(NULL) == 0, "%s", err.text);
	check_found(true);
	/* Two names of the same image are no choice. */
	write_index("", "", "");
	write_twice();
	ck_assert_msg(read_directory(NULL) == 0, "%s", err.text);
	check_found(true);
	forged_destroy(&image);
}
END_TEST

/* An archive cut anywhere is an error, or whole but for its end, never a wrong image. */
START_TEST(cut_archives_are_refused)
{
	char path[128];
	struct stat status;
	off_t at;

	make(CONFIG);
	archive("-b 1");
	snprintf(path, sizeof(path), "%s/image.tar", image.base);
	ck_assert_int_eq(stat(path, &status), 0);
	ck_assert_msg(read_archive(NULL) == 0, "%s", err.text);
	check_found(true);
	/* The end of the archive is two empty blocks; the first one will do. */
	for (at = status.st_size - 1025; at >= 0; at -= 509) {
		ck_assert_int_eq(truncate(path, at), 0);
		if (read_archive(NULL) == 0)
			check_found(true);
	}
	forged_destroy(&image);
}
END_TEST

UNIT_MAIN("image source", layouts_are_read_from_directories_and_archives, docker_archives_are_read,
	  broken_configurations_are_refused, broken_indexes_are_refused,
	  the_right_one_of_several_is_taken, cut_archives_are_refused)
