/* SPDX-License-Identifier: Apache-2.0 */
/* A sandbox's network by way of a relay: published ports, and the end of the relay. */
#include <errno.h>
#include <stdio.h>

#include "tests/unit/network_relay_common.h"

static unsigned opened;
static char opened_failure[256];

static void on_opened(void *arg, const struct publish *publish, const char *why)
{
	(void)arg;
	(void)publish;
	opened++;
	snprintf(opened_failure, sizeof(opened_failure), "%s", why ? why : "");
}

START_TEST(ports_are_published_at_the_start_and_later)
{
	struct publish more = {
		.family = AF_INET, .address = {127, 0, 0, 1}, .host_port = 200, .guest_port = 81};
	struct err err = {""};
	unsigned at = 0;

	begin(2, 100);
	start();
	wait_until(&published);
	ck_assert_str_eq(failure, "");
	ck_assert_uint_eq(network_port_next(&network, &at)->host_port, 100);
	ck_assert_uint_eq(network_port_next(&network, &at)->host_port, 101);
	ck_assert_ptr_null(network_port_next(&network, &at));
	opened = 0;
	ck_assert_int_eq(network_publish(&network, &more, on_opened, NULL, &err), 0);
	wait_until(&opened);
	ck_assert_str_eq(opened_failure, "");
	ck_assert_int_eq(network_publish(&network, &more, on_opened, NULL, &err), -EADDRINUSE);
	more.host_port = BUSY_PORT;
	opened = 0;
	ck_assert_int_eq(network_publish(&network, &more, on_opened, NULL, &err), 0);
	wait_until(&opened);
	ck_assert_msg(strstr(opened_failure, "is in use") != NULL, "%s", opened_failure);
	ck_assert_int_eq(network_unpublish(&network, 100, false, &err), 0);
	wait_for("unpublished 100");
	ck_assert_int_eq(network_unpublish(&network, 100, false, &err), -ENOENT);
	end();
}
END_TEST

START_TEST(a_port_that_is_in_use_fails_the_start)
{
	begin(1, BUSY_PORT);
	start();
	wait_until(&published);
	ck_assert_str_eq(failure, "port 9 of 127.0.0.1 is in use: choose another");
	end();
}
END_TEST

START_TEST(the_relay_may_die)
{
	struct publish more = {.family = AF_INET, .host_port = 200, .guest_port = 81};
	struct err err = {""};

	begin(0, 0);
	start();
	guest_sends(CHECK, 2);
	wait_for("\"event\":\"ask\"");
	ck_assert(!network.lost);
	guest_sends(EXIT, 0);
	wait_for("it exited with status 3");
	ck_assert_uint_eq(audit_log_lines("network-lost"), 1);
	ck_assert(network.lost);
	/* Nothing waits, and all goes on. */
	ck_assert_uint_eq(network_waiting(&network), 0);
	guest_sends(ECHO, 0);
	network_policy_changed(&network);
	network_hold_time(&network, true);
	network_configured(&network);
	ck_assert_int_lt(network_publish(&network, &more, on_opened, NULL, &err), 0);
	ck_assert(!network_relay_start(&network));
	fake_relay_run(loop, 20);
	end();
	/* Before there was a reply about ports: then the sandbox does not start. */
	begin(1, 100);
	guest_sends(ECHO, 0);
	network_relay_close(&network);
	end();
}
END_TEST

int main(int argc, char **argv)
{
	const TTest *const tests[] = {ports_are_published_at_the_start_and_later,
				      a_port_that_is_in_use_fails_the_start, the_relay_may_die};

	if (argc == 1 && strcmp(argv[0], RELAY_CLIENT_PROGRAM) == 0)
		return be_relay();
	return unit_run("network_relay_ends", NULL, tests, ARRAY_SIZE(tests));
}
