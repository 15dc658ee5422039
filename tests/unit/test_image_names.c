/* SPDX-License-Identifier: Apache-2.0 */
/* Names that annotations of an OCI index give an image. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/image_cache_common.h"
#include "vmm/image/manifest.h"

#define REF  "org.opencontainers.image.ref.name"
#define NAME "io.containerd.image.name"

/* The index of the layout at `source`, with one entry for each of these objects of annotations. */
static void annotate(const json_t *list)
{
	char path[160];
	json_t *index, *manifests, *entry;
	size_t i;

	snprintf(path, sizeof(path), "%s/index.json", source);
	index = json_load_file(path, 0, NULL);
	ck_assert_ptr_nonnull(index);
	manifests = json_object_get(index, "manifests");
	entry = json_copy(json_array_get(manifests, 0));
	json_array_clear(manifests);
	for (i = 0; i < json_array_size(list); i++) {
		json_t *copy = json_copy(entry);

		json_object_set(copy, "annotations", json_array_get(list, i));
		json_array_append_new(manifests, copy);
	}
	ck_assert_int_eq(json_dump_file(index, path, 0), 0);
	json_decref(entry);
	json_decref(index);
}

/* Builds with such a list of annotations. What image_build() returns. */
static int build(const char *annotations, const char *ref)
{
	json_t *list = json_loads(annotations, 0, NULL);

	ck_assert_msg(list, "%s", annotations);
	annotate(list);
	json_decref(list);
	err.text[0] = '\0';
	return image_build(source, ref, "", &id, &err);
}

/* The number of names of the one image in the cache. */
static size_t count_names(void)
{
	json_t *list = image_list(&err);
	size_t number;

	ck_assert_uint_eq(json_array_size(list), 1);
	number = json_array_size(json_object_get(json_array_get(list, 0), "names"));
	json_decref(list);
	return number;
}

START_TEST(annotations_are_names)
{
	static const struct {
		const char *annotations, *name; /* NULL: none */
	} cases[] = {
		/* BuildKit and docker save; other registries; containerd; Skopeo and Podman. */
		{"{\"" NAME "\":\"docker.io/library/a:1\",\"" REF "\":\"1\"}", "a:1"},
		{"{\"" NAME "\":\"docker.io/me/a:1\"}", "me/a:1"},
		{"{\"" NAME "\":\"ghcr.io/me/a:1\",\"" REF "\":\"other:1\"}", "ghcr.io/me/a:1"},
		{"{\"" NAME "\":\"library/a:1\"}", "library/a:1"},
		{"{\"" NAME "\":\"docker.io\"}", "docker.io"},
		{"{\"" REF "\":\"a:1\"}", "a:1"},
		{"{\"" REF "\":\"localhost/a\"}", "localhost/a:latest"},
		{"{\"" REF "\":\"docker.io/library/a:1\"}", "docker.io/library/a:1"},
		{"{\"" NAME "\":\"\",\"" REF "\":\"a:1\"}", "a:1"},
		{"{\"" NAME "\":7,\"" REF "\":\"a:1\"}", "a:1"},
		/* A tag alone, or nothing. */
		{"{\"" REF "\":\"latest\"}", NULL},
		{"{\"" REF "\":\"\"}", NULL},
		{"{\"" REF "\":[\"a:1\"]}", NULL},
		{"{\"" NAME "\":\"docker.io/library/\"}", NULL},
		{"{}", NULL},
		{"null", NULL},
		{"[\"" NAME "\"]", NULL},
		/* What cannot be a name here, or means something else. */
		{"{\"" NAME "\":\"docker.io/library/host\"}", NULL},
		{"{\"" NAME "\":\"docker.io/sha256:0123456789abcdef\"}", NULL},
		{"{\"" NAME "\":\"docker.io/library/0123456789ab\"}", NULL},
		{"{\"" NAME "\":\"docker.io/../../../x\"}", NULL},
		{"{\"" NAME "\":\"docker.io//etc/passwd\"}", NULL},
		{"{\"" NAME "\":\"a:1\\u001b[2J\"}", NULL},
		{"{\"" REF "\":\"/etc/passwd\"}", NULL},
		{"{\"" REF "\":\"-x:1\"}", NULL},
	};
	char list[256];
	size_t i;

	begin("x");
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(list, sizeof(list), "[%s]", cases[i].annotations);
		ck_assert_msg(build(list, NULL) >= 0, "%s: %s", list, err.text);
		ck_assert_msg(count_names() == (cases[i].name != NULL), "%s", list);
		ck_assert_msg(!cases[i].name || named(cases[i].name), "%s", list);
		/* With its last name an image goes. */
		if (cases[i].name)
			ck_assert_msg(image_remove(cases[i].name, &err) == 0, "%s", err.text);
	}
	forged_destroy(&image);
}
END_TEST

/* Names of other images stay, as with RepoTags. */
START_TEST(an_annotation_takes_no_name_away)
{
	struct forged_image kept;
	char path[160];
	struct digest first;

	begin("1");
	kept = image;
	ck_assert_int_eq(build("[{\"" NAME "\":\"docker.io/library/a:latest\"}]", NULL), 1);
	first = id;
	/* Another image, in the same cache. */
	begin("2");
	snprintf(path, sizeof(path), "%s/out", kept.base);
	setenv("XDG_CACHE_HOME", path, 1);
	ck_assert_int_eq(
		build("[{\"" NAME "\":\"docker.io/library/a\"},{\"" REF "\":\"b:1\"}]", NULL), 1);
	ck_assert(named("b:1") && !named("a"));
	id = first;
	ck_assert(named("a:latest") && !named("b:1"));
	forged_destroy(&image);
	forged_destroy(&kept);
}
END_TEST

/* Several names of one image are several entries of one digest. */
START_TEST(an_image_gets_all_its_names)
{
	char *text;
	json_t *list;
	char name[32];
	int i;

	begin("x");
	ck_assert_int_eq(build("[{\"" REF "\":\"a:1\"},{\"" REF "\":\"1\"},{},{\"" NAME
			       "\":\"docker.io/library/b:2\"}]",
			       NULL),
			 1);
	ck_assert(named("a:1") && named("b:2") && count_names() == 2);
	/* --ref takes any of them, also in full, and a tag alone. */
	ck_assert_int_eq(build("[{\"" NAME "\":\"docker.io/library/c:3\",\"" REF "\":\"3\"}]",
			       "docker.io/library/c:3"),
			 0);
	ck_assert(named("c:3"));
	ck_assert_int_eq(build("[{\"" NAME "\":\"docker.io/library/c:3\"}]", "c:3"), 0);
	ck_assert_int_eq(build("[{\"" NAME "\":\"c:3\",\"" REF "\":\"3\"}]", "3"), 0);
	ck_assert_int_eq(build("[{\"" NAME "\":\"c:3\",\"" REF "\":\"3\"}]", "4"), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, "it has c:3"));
	ck_assert_uint_eq(count_names(), 3);
	list = json_array();
	for (i = 0; i < 2 * IMAGE_TAGS_MAX; i++) {
		snprintf(name, sizeof(name), "many:%d", i);
		json_array_append_new(list, json_pack("{s:s}", REF, name));
	}
	text = json_dumps(list, 0);
	ck_assert_int_eq(build(text, NULL), 0);
	ck_assert_uint_eq(count_names(), 3 + IMAGE_TAGS_MAX);
	free(text);
	json_decref(list);
	forged_destroy(&image);
}
END_TEST

UNIT_MAIN("image names", annotations_are_names, an_annotation_takes_no_name_away,
	  an_image_gets_all_its_names)
