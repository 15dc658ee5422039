/* SPDX-License-Identifier: Apache-2.0 */
/* The list of a sandbox's shares while it changes. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "vmm/sandbox/shares.h"

static struct shares shares;
static int directory;

static void begin(void)
{
	/* It is looked at for whether there is one. */
	shares = (struct shares){.fs = (struct fs *)&shares};
	directory = open("/tmp", O_PATH | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(directory, 0);
}

static void end(void)
{
	shares.fs = NULL;
	shares_close(&shares);
	close(directory);
}

static struct share_link *add(const char *guest, struct err *err)
{
	const struct policy_share share = {.host = "/tmp", .guest = guest, .uid = -1, .gid = -1};

	return shares_add(&shares, &share, directory, NULL, err);
}

START_TEST(a_number_is_used_once)
{
	struct share_link *link;
	struct err err = {""};
	char guest[16];
	unsigned i;

	begin();
	for (i = 0; i < FILES_SHARES_MAX; i++) {
		snprintf(guest, sizeof(guest), "/%u", i % 3);
		link = add(guest, &err);
		ck_assert_msg(link != NULL, "%s", err.text);
		ck_assert_uint_eq(link->number, i);
		ck_assert_ptr_eq(shares_find(&shares, guest), link);
		shares_take(&shares, link);
		ck_assert_ptr_null(shares_find(&shares, guest));
		shares_forget(link);
	}
	ck_assert_uint_eq(shares.count, 0);
	ck_assert_ptr_null(add("/more", &err));
	ck_assert_ptr_nonnull(strstr(err.text, "64 shares in its life"));
	end();
}
END_TEST

START_TEST(a_place_has_one_share)
{
	struct share_link *outer, *inner, *beside;
	struct err err = {""};

	begin();
	outer = add("/data", &err);
	beside = add("/data2", &err);
	inner = add("/data/deep/in", &err);
	ck_assert(outer && beside && inner);
	ck_assert_ptr_null(add("/data", &err));
	ck_assert_ptr_null(add("//data/./deep/in/", &err));
	ck_assert_ptr_nonnull(strstr(err.text, "is a share already"));
	ck_assert_ptr_null(add("data", &err));
	ck_assert_ptr_null(add("/data/../x", &err));
	ck_assert_ptr_null(add("/", &err));
	ck_assert_ptr_null(shares_find(&shares, "/dat"));
	ck_assert_ptr_null(shares_find(&shares, "relative"));
	ck_assert_ptr_eq(shares_find(&shares, "/data//deep/./in"), inner);
	ck_assert_ptr_eq(shares_below(&shares, outer), inner);
	ck_assert_ptr_null(shares_below(&shares, inner));
	ck_assert_ptr_null(shares_below(&shares, beside));
	shares_take(&shares, inner);
	ck_assert_ptr_null(shares_below(&shares, outer));
	shares_put_back(&shares, inner);
	ck_assert_ptr_eq(shares_below(&shares, outer), inner);
	ck_assert_uint_eq(shares.count, 3);
	end();
}
END_TEST

UNIT_MAIN("shares_live", a_number_is_used_once, a_place_has_one_share)
