/* SPDX-License-Identifier: Apache-2.0 */
/* Layers unpacked one over the other, and hostile ones, each beside one that is allowed. */
#include "vmm/image/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/forged_image.h"
#include "tests/support/unit.h"
#include "vmm/base/fd.h"
#include "vmm/image/layer.h"
#include "tests/unit/image_common.h"

START_TEST(layers_lie_one_over_the_other)
{
	struct stat status;

	forged_create(&image);
	add(ENTRIES({'5', "./", ""}, {'5', "./etc/", ""}, {'0', "./etc/a", "a0"},
		    {'0', "etc/b", "b0"}, {'0', "@4751 etc/mode", "m"}, {'5', "@1777 tmp", ""},
		    {'0', "kind", "a file"}, {'5', "tree", ""}, {'0', "tree/in", "in"},
		    {'5', "@555 closed", ""}, {'2', "link", "etc/a"}),
	    false);
	add(ENTRIES({'0', "etc/a", "a1"}, {'0', "usr/share/new", "new"}, {'1', "hard", "./etc/b"},
		    {'5', "kind", ""}, {'0', "kind/in", "in it"}, {'0', "tree", "now a file"},
		    {'0', "closed/in", "later"}, {'0', "link", "no link any more"},
		    {'3', "dev/null", ""}, {'6', "pipe", ""}),
	    true);
	ck_assert_msg(unpack() == 0, "%s", why.text);
	ck_assert(forged_has(&image, "etc/a", "a1") && forged_has(&image, "etc/b", "b0"));
	ck_assert(forged_has(&image, "usr/share/new", "new") && forged_has(&image, "hard", "b0"));
	ck_assert(forged_has(&image, "kind/in", "in it") &&
		  forged_has(&image, "tree", "now a file"));
	ck_assert(forged_has(&image, "closed/in", "later"));
	ck_assert(forged_has(&image, "link", "no link any more"));
	ck_assert(forged_has(&image, "dev/null", NULL) && forged_has(&image, "pipe", NULL));
	ck_assert_uint_eq(left_out, 2);
	ck_assert_uint_eq(counts.entries, 21);
	ck_assert_int_eq(fstatat(image.out_fd, "etc/mode", &status, 0), 0);
	ck_assert_uint_eq(status.st_mode & 07777, 0751); /* without set-user-id */
	ck_assert_int_eq(status.st_mtime, 1000000000);
	ck_assert_int_eq(fstatat(image.out_fd, "tmp", &status, 0), 0);
	ck_assert_uint_eq(status.st_mode & 07777, 01777);
	ck_assert_int_eq(fstatat(image.out_fd, "usr/share", &status, 0), 0);
	ck_assert_uint_eq(status.st_mode & 07777, 0755);
	forged_destroy(&image);
}
END_TEST

START_TEST(whiteouts_hide_what_is_below_and_nothing_else)
{
	forged_create(&image);
	add(ENTRIES({'0', "a/gone", "0"}, {'0', "a/stays", "0"}, {'0', "b/x", "0"},
		    {'0', "b/y", "0"}, {'0', "c/deep/er", "0"}, {'0', "e/f", "0"}),
	    false);
	/* In any order: a whiteout never touches its own layer. */
	add(ENTRIES({'0', "a/.wh.gone", ""}, {'0', "b/new", "1"}, {'0', "b/.wh..wh..opq", ""},
		    {'0', "b/x", "1"}, {'0', ".wh.c", ""}, {'5', "c", ""}, {'0', "c/own", "1"},
		    {'0', "e/f", "1"}, {'0', "e/.wh.f", ""}, {'0', "e/.wh.never", ""},
		    {'0', "no/.wh.where", ""}, {'0', ".wh..wh.plnk", ""}),
	    true);
	ck_assert_msg(unpack() == 0, "%s", why.text);
	ck_assert(forged_has(&image, "a/gone", NULL) && forged_has(&image, "a/stays", "0"));
	ck_assert(forged_has(&image, "a/.wh.gone", NULL));
	ck_assert(forged_has(&image, "b/new", "1") && forged_has(&image, "b/x", "1"));
	ck_assert(forged_has(&image, "b/y", NULL) && forged_has(&image, "b/.wh..wh..opq", NULL));
	ck_assert(forged_has(&image, "c/deep", NULL) && forged_has(&image, "c/own", "1"));
	ck_assert(forged_has(&image, "e/f", "1") && forged_has(&image, ".wh..wh.plnk", NULL));
	forged_destroy(&image);
}
END_TEST

START_TEST(entries_that_climb_out_are_refused)
{
	static char long_part[300];
	const struct {
		struct forged_entry entry;
		int ret;
	} cases[] = {
		{{'0', "/etc/x", "ok"}, 0}, /* from the image's root */
		{{'0', "//etc//x", "ok"}, 0},
		{{'0', "/../x", "bad"}, -EPROTO},
		{{'5', "/", ""}, 0},
		{{'0', "/", "bad"}, -EPROTO},
		{{'0', "/d/.wh.below", ""}, 0},
		{{'0', "etc/x", "ok"}, 0},
		{{'0', "../x", "bad"}, -EPROTO},
		{{'0', "d/../../x", "bad"}, -EPROTO},
		{{'0', "d/../x", "bad"}, -EPROTO},
		{{'0', "d/..", "bad"}, -EPROTO},
		{{'0', "d/...", "ok"}, 0},
		{{'0', "./d/./x//y", "ok"}, 0},
		{{'5', "..", ""}, -EPROTO},
		{{'5', ".", ""}, 0},
		{{'0', ".", "bad"}, -EPROTO},
		{{'2', "./", "bad"}, -EPROTO},
		{{'0', ".wh...", ""}, -EPROTO}, /* would remove ".." */
		{{'0', "d/.wh...", ""}, -EPROTO},
		{{'0', "d/.wh..", ""}, -EPROTO}, /* would remove "." */
		{{'0', "d/.wh.", ""}, -EPROTO},
		{{'0', "d/.wh.below", ""}, 0},
		{{'0', "d/.wh.below/x", ""}, -EPROTO},
		{{'0', "d/.whx", ""}, 0},
		{{'1', "h", "/etc/passwd"}, -ENOENT}, /* the image has none */
		{{'1', "h", "/d/below"}, 0},
		{{'1', "h", "/../out"}, -EPROTO},
		{{'1', "h", "/"}, -EPROTO},
		{{'1', "h", "../out"}, -EPROTO},
		{{'1', "h", "d/../d/below"}, -EPROTO},
		{{'1', "h", "d/none"}, -EPROTO},
		{{'1', "h", "d"}, -EPROTO}, /* a directory */
		{{'1', "h", "."}, -EPROTO},
		{{'1', "h", ""}, -EPROTO},
		{{'1', "h", "d/below"}, 0},
		{{'1', "d/below", "d/below"}, 0},
		{{'2', "s", "/etc/passwd"}, 0}, /* for the sandbox to resolve */
		{{'2', "s", "../../../etc"}, 0},
		{{'S', "sparse", "x"}, -EPROTO}, /* without a map */
		{{'7', "contiguous", ""}, 0},
		{{'4', "disk", ""}, 0},
		{{'V', "volume", ""}, -EPROTO},
		{{'0', long_part, "bad"}, -ENAMETOOLONG},
	};
	size_t i;
	int ret;

	memset(long_part, 'n', sizeof(long_part) - 1);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		ret = unpack_only(ENTRIES(cases[i].entry));
		ck_assert_msg(ret == cases[i].ret, "%c %.40s -> %s: %d %s", cases[i].entry.type,
			      cases[i].entry.name, cases[i].entry.text, ret, why.text);
		ck_assert_msg(faccessat(image.src_fd, "../x", F_OK, 0) < 0 &&
				      faccessat(image.src_fd, "layer0", F_OK, 0) == 0,
			      "%s came out", cases[i].entry.name);
		forged_destroy(&image);
	}
	ck_assert(access("/etc/x", F_OK) < 0);
}
END_TEST

/* Names through links lead where they would in the sandbox: inside. */
START_TEST(links_lead_nowhere_outside)
{
	char outside[] = "/tmp/cordon-outside-XXXXXX", in[128];
	int ret;

	ck_assert_ptr_nonnull(mkdtemp(outside));
	snprintf(in, sizeof(in), "up%s/z", outside);
	/* Not in the tree: refused. */
	ret = unpack_only(ENTRIES({'2', "l", outside}, {'0', "l/x", "bad"}));
	ck_assert_int_lt(ret, 0);
	forged_destroy(&image);
	/* In the tree, under the same name: there. */
	ret = unpack_only(ENTRIES({'5', outside + 1, ""}, {'2', "l", outside}, {'0', "l/x", "in"},
				  {'2', "up", "../../../../../.."}, {'0', in, "in"},
				  {'1', "h", "l/x"}, {'0', "l/.wh.y", ""}));
	ck_assert_msg(ret == 0, "%s", why.text);
	snprintf(in, sizeof(in), "%s/x", outside + 1);
	ck_assert(forged_has(&image, "h", "in"));
	forged_destroy(&image);
	/* A hard link to a link is the link, not what it leads to. */
	ret = unpack_only(ENTRIES({'2', "l", "/etc/passwd"}, {'1', "h", "l"}, {'0', "h", "mine"}));
	ck_assert_msg(ret == 0, "%s", why.text);
	ck_assert(forged_has(&image, "h", "mine"));
	forged_destroy(&image);
	/* A whiteout and an opaque one through a link remove nothing outside. */
	snprintf(in, sizeof(in), "%s/kept", outside);
	close(open(in, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	forged_create(&image);
	add(ENTRIES({'2', "l", outside}), COMPRESSION_NONE);
	add(ENTRIES({'0', "l/.wh.kept", ""}, {'0', "l/.wh..wh..opq", ""}), COMPRESSION_NONE);
	ck_assert_msg(unpack() == 0, "%s", why.text);
	ck_assert_int_eq(unlink(in), 0);
	forged_destroy(&image);
	/* A loop of links ends. */
	ret = unpack_only(ENTRIES({'2', "l", "m"}, {'2', "m", "l"}, {'0', "l/x", "bad"}));
	ck_assert_int_eq(ret, -ELOOP);
	forged_destroy(&image);
	ck_assert_int_eq(rmdir(outside), 0); /* nothing came there */
}
END_TEST

START_TEST(digests_are_checked)
{
	struct image_layer *first = &image.manifest.layers[0];
	struct digest right;
	unsigned i;

	for (i = 0; i < 5; i++) {
		forged_create(&image);
		add(ENTRIES({'0', "x", "contents"}), i % 2);
		right = first->unpacked;
		if (i == 1)
			first->stored.hex[5] ^= 1;
		if (i == 2)
			first->unpacked.hex[63] ^= 1;
		if (i == 3)
			first->size++;
		if (i == 4)
			first->stored.hex[0] = '\0'; /* as for `docker save` */
		ck_assert_int_eq(unpack(), i == 0 || i == 4 ? 0 : i == 3 ? -EPROTO : -EBADMSG);
		ck_assert(i > 0 || digest_equal(&right, &first->unpacked));
		forged_destroy(&image);
	}
}
END_TEST

UNIT_MAIN("image", layers_lie_one_over_the_other, whiteouts_hide_what_is_below_and_nothing_else,
	  entries_that_climb_out_are_refused, links_lead_nowhere_outside, digests_are_checked)
