/* SPDX-License-Identifier: Apache-2.0 */
/* Published ports of a relay's network: opened, refused, closed, lost. */
#include "vmm/sandbox/network_ports.h"

#include <errno.h>
#include <stdio.h>

#include "tests/unit/relay_client_common.h"

static struct network_ports ports;
static struct {
	unsigned count;
	char text[PUBLISH_TEXT], failure[256];
} last;

static void on_opened(void *arg, const struct publish *publish, const char *failure)
{
	ck_assert_ptr_eq(arg, &last);
	last.count++;
	publish_text(publish, last.text);
	snprintf(last.failure, sizeof(last.failure), "%s", failure ? failure : "");
}

static void setup(void)
{
	memset(&ports, 0, sizeof(ports));
	memset(&last, 0, sizeof(last));
	begin_ready();
}

static int open_port(const char *text, struct err *err)
{
	struct publish publish;

	ck_assert_int_eq(publish_parse(&publish, text, err), 0);
	return network_ports_open(&ports, client, &publish, on_opened, &last, err);
}

/* The relay's reply to the request that it has got. */
static void reply(int error)
{
	struct relay_published published = {.error = error};

	fake_relay_expect(&fake, RELAY_PUBLISH, &published.which, sizeof(published.which));
	fake_relay_put(&fake, RELAY_PUBLISHED_REPLY, &published, sizeof(published));
	run();
	ck_assert_uint_gt(told.published, 0);
	network_ports_replied(&ports, &told.which, told.error);
}

START_TEST(ports_are_opened_and_closed)
{
	struct relay_publish which;
	struct err err = {""};

	setup();
	ck_assert_int_eq(open_port("8080:80", &err), 0);
	/* Its clients may come as soon as the relay has opened it. */
	ck_assert(network_ports_has(&ports, 80, false));
	ck_assert_int_eq(network_ports_close(&ports, client, 8080, false, &err), -EBUSY);
	reply(0);
	ck_assert_uint_eq(last.count, 1);
	ck_assert_str_eq(last.text, "127.0.0.1:8080:80/tcp");
	ck_assert_str_eq(last.failure, "");
	ck_assert_int_eq(open_port("[::1]:5353:53/udp", &err), 0);
	reply(0);
	ck_assert_str_eq(last.text, "[::1]:5353:53/udp");
	ck_assert(network_ports_has(&ports, 53, true));
	ck_assert(!network_ports_has(&ports, 53, false));
	ck_assert(!network_ports_has(&ports, 8080, false));
	/* The same again; the same number of UDP. */
	ck_assert_int_eq(open_port("0.0.0.0:8080:81", &err), -EADDRINUSE);
	ck_assert_int_eq(open_port("8080:81/udp", &err), 0);
	reply(0);
	ck_assert_int_eq(network_ports_close(&ports, client, 8081, false, &err), -ENOENT);
	ck_assert_int_eq(network_ports_close(&ports, client, 8080, false, &err), 0);
	fake_relay_expect(&fake, RELAY_UNPUBLISH, &which, sizeof(which));
	ck_assert_uint_eq(which.host_port, 8080);
	ck_assert_uint_eq(which.udp, 0);
	ck_assert(!network_ports_has(&ports, 80, false));
	ck_assert(network_ports_has(&ports, 81, true));
	ck_assert_int_eq(network_ports_close(&ports, client, 8080, false, &err), -ENOENT);
	end();
}
END_TEST

START_TEST(a_port_that_cannot_be_opened)
{
	struct err err = {""};

	setup();
	ck_assert_int_eq(open_port("8080:80", &err), 0);
	reply(EADDRINUSE);
	ck_assert_uint_eq(last.count, 1);
	ck_assert_str_eq(last.failure, "port 8080 of 127.0.0.1 is in use: choose another");
	ck_assert_uint_eq(ports.count, 0);
	ck_assert(!network_ports_has(&ports, 80, false));
	ck_assert_int_eq(open_port("8080:80", &err), 0);
	reply(0);
	ck_assert_str_eq(last.failure, "");
	end();
}
END_TEST

START_TEST(one_number_at_several_addresses)
{
	struct relay_publish which;
	struct err err = {""};

	setup();
	ck_assert_int_eq(open_port("8080:80", &err), 0);
	reply(0);
	ck_assert_int_eq(open_port("[::1]:8080:80", &err), 0);
	reply(0);
	ck_assert_int_eq(open_port("127.0.0.2:8080:82", &err), 0);
	reply(0);
	ck_assert_uint_eq(ports.count, 3);
	ck_assert_int_eq(network_ports_close(&ports, client, 8080, false, &err), 0);
	ck_assert_uint_eq(ports.count, 0);
	fake_relay_expect(&fake, RELAY_UNPUBLISH, &which, sizeof(which));
	fake_relay_expect(&fake, RELAY_UNPUBLISH, &which, sizeof(which));
	fake_relay_expect(&fake, RELAY_UNPUBLISH, &which, sizeof(which));
	ck_assert_uint_eq(which.guest_port, 82);
	end();
}
END_TEST

START_TEST(ports_are_bounded)
{
	struct err err = {""};
	char text[32];
	unsigned i;

	setup();
	for (i = 0; i < RELAY_PUBLISHED; i++) {
		snprintf(text, sizeof(text), "%u:80", 8000 + i);
		ck_assert_int_eq(open_port(text, &err), 0);
		reply(0);
	}
	ck_assert_int_eq(open_port("9000:80", &err), -E2BIG);
	ck_assert_int_eq(network_ports_close(&ports, client, 8000, false, &err), 0);
	ck_assert_int_eq(open_port("9000:80", &err), 0);
	end();
}
END_TEST

START_TEST(ports_are_lost_with_the_relay)
{
	struct err err = {""};

	setup();
	ck_assert_int_eq(open_port("8080:80", &err), 0);
	reply(0);
	ck_assert_int_eq(open_port("8081:80", &err), 0);
	fake_relay_close(&fake);
	run();
	ck_assert_uint_eq(told.died, 1);
	network_ports_lost(&ports, "gone");
	ck_assert_uint_eq(last.count, 2);
	ck_assert_str_eq(last.text, "127.0.0.1:8081:80/tcp");
	ck_assert_str_eq(last.failure, "gone");
	ck_assert_uint_eq(ports.count, 0);
	ck_assert_int_eq(open_port("8082:80", &err), -EPIPE);
	end();
}
END_TEST

UNIT_MAIN("network_ports", ports_are_opened_and_closed, a_port_that_cannot_be_opened,
	  one_number_at_several_addresses, ports_are_bounded, ports_are_lost_with_the_relay)
