/* SPDX-License-Identifier: Apache-2.0 */
/* When start-up gives up a guest: not because its host is busy. */
#include "vmm/sandbox/boot_watch.h"

#include <time.h>

#include "tests/support/unit.h"

#define SECOND UINT64_C(1000000000)
#define STEP   (2 * SECOND)

/* Checks with this use a step; returns how many went well, most at most. */
static unsigned steps_of(struct boot_use a_step, uint64_t max_ns, unsigned most)
{
	struct boot_use now = {.cpu_ns = 5 * SECOND, .waited_ns = 7 * SECOND, .faults = 3};
	struct boot_watch watch;
	unsigned steps;

	boot_watch_begin(&watch, &now, max_ns);
	for (steps = 0; steps < most; steps++) {
		now.cpu_ns += a_step.cpu_ns;
		now.waited_ns += a_step.waited_ns;
		now.faults += a_step.faults;
		if (!boot_watch_check(&watch, &now, STEP))
			break;
	}
	return steps;
}

static unsigned steps_until_the_end(struct boot_use a_step, uint64_t max_ns)
{
	return steps_of(a_step, max_ns, 100);
}

START_TEST(a_guest_that_uses_nothing_is_given_up)
{
	ck_assert_uint_eq(steps_until_the_end((struct boot_use){.cpu_ns = 0}, 60 * SECOND), 9);
	ck_assert_uint_eq(steps_until_the_end((struct boot_use){.cpu_ns = STEP / 200}, 60 * SECOND),
			  9);
	/* The thread that checks waits for a processor, too. */
	ck_assert_uint_eq(
		steps_until_the_end((struct boot_use){.waited_ns = STEP / 10}, 60 * SECOND), 9);
	ck_assert_uint_eq(steps_until_the_end((struct boot_use){.cpu_ns = STEP / 50}, 60 * SECOND),
			  100);
}
END_TEST

START_TEST(a_guest_that_uses_too_much_is_given_up)
{
	ck_assert_uint_eq(steps_until_the_end((struct boot_use){.cpu_ns = STEP}, 60 * SECOND), 29);
}
END_TEST

/* It gets no processor, or its pages come slowly from the disk: that is no fault of the guest. */
START_TEST(a_guest_on_a_busy_host_is_not)
{
	ck_assert_uint_eq(steps_until_the_end((struct boot_use){.waited_ns = STEP}, 60 * SECOND),
			  100);
	ck_assert_uint_eq(steps_until_the_end((struct boot_use){.faults = 1}, 60 * SECOND), 100);
}
END_TEST

/*
 * A guest can touch a page of its snapshot every second, or have its processors wake up all at
 * once: it would start for days.
 */
START_TEST(not_for_ever)
{
	unsigned hour = 3600 * SECOND / STEP;

	ck_assert_uint_eq(steps_of((struct boot_use){.faults = 1}, 60 * SECOND, 10 * hour),
			  hour + 9);
	ck_assert_uint_eq(steps_of((struct boot_use){.waited_ns = STEP}, 60 * SECOND, 10 * hour),
			  hour + 9);
	/* One that uses processors has the time that they last. */
	ck_assert_uint_eq(steps_of((struct boot_use){.cpu_ns = STEP / 50, .faults = 1}, 60 * SECOND,
				   10 * hour),
			  60 * 50 / 2 - 1);
}
END_TEST

/* A thread that ends takes its count along, which is no use below zero. */
START_TEST(counts_may_fall)
{
	struct boot_use now = {.cpu_ns = SECOND, .waited_ns = 7 * SECOND};
	struct boot_watch watch;

	boot_watch_begin(&watch, &now, 60 * SECOND);
	now.waited_ns = SECOND;
	ck_assert(boot_watch_check(&watch, &now, STEP));
	ck_assert_uint_eq(watch.idle_ns, STEP);
}
END_TEST

START_TEST(a_process_uses_something)
{
	struct boot_use begin = boot_use_now(), now;

	do
		now = boot_use_now();
	while (now.cpu_ns - begin.cpu_ns < SECOND / 50);
	ck_assert_uint_ge(now.waited_ns, begin.waited_ns);
}
END_TEST

UNIT_MAIN("boot_watch", a_guest_that_uses_nothing_is_given_up,
	  a_guest_that_uses_too_much_is_given_up, a_guest_on_a_busy_host_is_not, not_for_ever,
	  counts_may_fall, a_process_uses_something)
