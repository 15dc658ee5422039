/* SPDX-License-Identifier: Apache-2.0 */
/* Bounds on what clients of the control socket request. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/unit.h"
#include "vmm/base/budget.h"
#include "vmm/control/requests.h"

START_TEST(commands_are_bounded)
{
	struct monitor *monitor = calloc(1, sizeof(*monitor));
	struct err err = {.text = ""};

	ck_assert_ptr_nonnull(monitor);
	monitor->job_count = budget(BUDGET_JOBS) - 1;
	ck_assert_int_eq(command_request_permitted(monitor, &err), 0);
	monitor->job_count++;
	ck_assert_int_eq(command_request_permitted(monitor, &err), -EAGAIN);
	ck_assert_ptr_nonnull(strstr(err.text, "128 commands are running already"));
	free(monitor);
}
END_TEST

UNIT_MAIN("control_bounds", commands_are_bounded)
