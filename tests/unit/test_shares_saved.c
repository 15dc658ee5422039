/* SPDX-License-Identifier: Apache-2.0 */
/* The shares' section of a snapshot, over several restores. */
#include <string.h>

#include "tests/support/unit.h"
#include "vmm/machine/snapshot_format.h"
#include "vmm/sandbox/shares.h"

static struct shares shares;
static struct share_link served;

/* A snapshot of a sandbox with a share /x that has the number 0, and a session of it. */
static void save_first(struct pack *state)
{
	struct pack section = {.data = NULL};

	pack_u32(&section, 1);
	pack_u8(&section, 0);
	pack_u8(&section, false);
	pack_text(&section, "/x");
	pack_text(&section, "/host/x");
	pack_u32(&section, 7);
	pack_bytes(&section, "session", 7);
	snapshot_add_section(state, SHARES_SECTION_SESSION, 0, &section);
}

static struct snapshot snapshot_of(const struct pack *state)
{
	return (struct snapshot){.state = state->data, .state_length = state->length};
}

static void serve(const char *guest)
{
	shares = (struct shares){.count = 1};
	served = (struct share_link){.host = (char *)(uintptr_t) "/host/other"};
	strcpy(served.share.guest, guest);
	shares.link[0] = &served;
}

/* Restored without its shares, and saved again: what the guest has of them is no other share's. */
START_TEST(numbers_outlive_a_restore_without_shares)
{
	struct pack first = {.data = NULL}, second = {.data = NULL};
	struct snapshot saved;
	struct err err = {""};

	save_first(&first);
	saved = snapshot_of(&first);
	shares = (struct shares){.count = 0};
	ck_assert_int_eq(shares_connect(&shares, NULL, NULL, NULL, NULL, &saved, NULL, NULL, &err),
			 0);
	ck_assert_int_eq(shares_save(&shares, true, &second, &err), 0);
	shares_close(&shares);
	ck_assert_uint_eq(second.length, first.length);
	ck_assert_mem_eq(second.data, first.data, first.length);
	saved = snapshot_of(&second);
	serve("/y");
	ck_assert_int_eq(shares_check_saved(&shares, &saved, &err), 0);
	ck_assert(!served.kept);
	ck_assert_uint_eq(served.number, 1);
	/* The share itself goes on. */
	serve("/x");
	ck_assert_int_eq(shares_check_saved(&shares, &saved, &err), 0);
	ck_assert(served.kept);
	ck_assert_uint_eq(served.number, 0);
	pack_free(&first);
	pack_free(&second);
}
END_TEST

UNIT_MAIN("shares_saved", numbers_outlive_a_restore_without_shares)
