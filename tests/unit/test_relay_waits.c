/* SPDX-License-Identifier: Apache-2.0 */
/* Tickets of requests that wait for the monitor. */
#include "tests/support/unit.h"
#include "vmm/relay/waits.h"

static struct waits waits;
static struct relay_wait wait[RELAY_CHECKS + 1];

START_TEST(each_ticket_finds_its_wait_once)
{
	uint32_t ticket[RELAY_CHECKS];
	unsigned i;

	waits_init(&waits);
	for (i = 0; i < RELAY_CHECKS; i++) {
		ticket[i] = waits_add(&waits, &wait[i]);
		ck_assert_uint_ne(ticket[i], 0);
	}
	ck_assert_uint_eq(waits_add(&waits, &wait[i]), 0);
	for (i = 0; i < RELAY_CHECKS; i++) {
		ck_assert_ptr_eq(waits_take(&waits, ticket[i]), &wait[i]);
		ck_assert_ptr_null(waits_take(&waits, ticket[i]));
	}
	ck_assert_uint_ne(waits_add(&waits, &wait[0]), 0);
}
END_TEST

START_TEST(a_late_or_made_up_ticket_finds_nothing)
{
	uint32_t first, second;

	waits_init(&waits);
	first = waits_add(&waits, &wait[0]);
	ck_assert_ptr_nonnull(waits_take(&waits, first));
	second = waits_add(&waits, &wait[1]);
	ck_assert_uint_ne(second, first);
	ck_assert_uint_eq(second % RELAY_CHECKS, first % RELAY_CHECKS);
	ck_assert_ptr_null(waits_take(&waits, first));
	ck_assert_ptr_null(waits_take(&waits, 0));
	ck_assert_ptr_null(waits_take(&waits, UINT32_MAX));
	ck_assert_ptr_eq(waits_take(&waits, second), &wait[1]);
}
END_TEST

/* Tickets come round without ever being 0. */
START_TEST(no_ticket_is_zero)
{
	unsigned i;

	waits_init(&waits);
	for (i = 0; i < RELAY_CHECKS; i++)
		waits.ticket[i] = UINT32_MAX - RELAY_CHECKS + 1 + i;
	for (i = 0; i < RELAY_CHECKS; i++)
		ck_assert_uint_ne(waits_add(&waits, &wait[i]), 0);
}
END_TEST

UNIT_MAIN("relay_waits", each_ticket_finds_its_wait_once, a_late_or_made_up_ticket_finds_nothing,
	  no_ticket_is_zero)
