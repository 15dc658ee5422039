/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/fake_relay.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "vmm/base/fd.h"
#include "vmm/relay/link.h"

static struct policy *make_policy(void)
{
	static const char text[] = "policy 1\nnet ask tcp *:*\n";
	const struct policy_source source = {.name = "p"};
	struct policy *policy;

	ck_assert_int_eq(policy_parse(&policy, text, strlen(text), &source, NULL), 0);
	return policy;
}

void fake_relay_attach(struct fake_relay *fake, struct relay_client **client, struct loop *loop,
		       const struct policy *policy, const struct relay_client_ops *ops, void *arg)
{
	struct policy *own = policy ? NULL : make_policy();
	const struct relay_client_config config = {
		.relay = {.router_mac = {2, 0, 0x5e, 0, 0, 1}, .card = {.mtu = 1500}},
		.policy = policy ? policy : own};
	int frames[2], messages[2];
	struct err err = {""};

	ck_assert_int_eq(link_pair(frames), 0);
	ck_assert_int_eq(link_pair(messages), 0);
	*fake = (struct fake_relay){frames[1], messages[1]};
	ck_assert_msg(relay_client_attach(client, loop, frames[0], messages[0], 0, &config, ops,
					  arg, &err) == 0,
		      "%s", err.text);
	policy_free(own);
}

/* Also in processes that are no test. */
static void must(bool fine)
{
	if (!fine)
		abort();
}

void fake_relay_close(struct fake_relay *fake)
{
	fd_close(&fake->frames);
	fd_close(&fake->messages);
}

void fake_relay_put(const struct fake_relay *fake, uint32_t type, const void *body, size_t length)
{
	struct iovec part[] = {{&type, sizeof(type)}, {(void *)(uintptr_t)body, length}};
	const struct msghdr message = {.msg_iov = part, .msg_iovlen = 2};

	must(sendmsg(fake->messages, &message, MSG_NOSIGNAL) == (ssize_t)(sizeof(type) + length));
}

void fake_relay_put_frame(const struct fake_relay *fake, const void *frame, size_t length)
{
	uint8_t header[RELAY_CLIENT_HEADER] = {0};
	struct iovec part[] = {{header, sizeof(header)}, {(void *)(uintptr_t)frame, length}};
	const struct msghdr message = {.msg_iov = part, .msg_iovlen = 2};

	must(sendmsg(fake->frames, &message, MSG_NOSIGNAL) == (ssize_t)(sizeof(header) + length));
}

uint32_t fake_relay_get(const struct fake_relay *fake, void *body, size_t size, size_t *length,
			int *fd)
{
	union {
		char space[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {.space = {0}};
	uint32_t type = 0;
	/* cppcheck-suppress ctuuninitvar; recvmsg() fills it in */
	struct iovec part[] = {{&type, sizeof(type)}, {body, size}};
	struct msghdr message = {.msg_iov = part,
				 .msg_iovlen = 2,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	ssize_t got = recvmsg(fake->messages, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *header;

	*fd = -1;
	/* The monitor has closed its end without having read all: what it sent follows. */
	if (got < 0 && errno == ECONNRESET)
		got = recvmsg(fake->messages, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (got <= 0)
		return 0;
	must(got >= (ssize_t)sizeof(type) && !(message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)));
	header = CMSG_FIRSTHDR(&message);
	if (header)
		memcpy(fd, CMSG_DATA(header), sizeof(*fd));
	*length = (size_t)got - sizeof(type);
	return type;
}

void fake_relay_expect(const struct fake_relay *fake, uint32_t type, void *body, size_t length)
{
	size_t got = 0;
	int fd;

	ck_assert_uint_eq(fake_relay_get(fake, body, length, &got, &fd), type);
	ck_assert_uint_eq(got, length);
	ck_assert_int_eq(fd, -1);
}

void fake_relay_begin(const struct fake_relay *fake)
{
	struct relay_config config;
	size_t length;
	int fd;

	fake_relay_expect(fake, RELAY_CONFIG, &config, sizeof(config));
	ck_assert_uint_eq(fake_relay_get(fake, &config, sizeof(config), &length, &fd),
			  RELAY_POLICY);
	ck_assert_int_ge(fd, 0);
	close(fd);
	fake_relay_put(fake, RELAY_READY, NULL, 0);
}

struct relay_check fake_relay_check(uint32_t ticket)
{
	return (struct relay_check){
		.ticket = ticket,
		.op = POLICY_CONNECT,
		.protocol = POLICY_TCP,
		.port = 80,
		.address = {.bytes = {93, 184, 216, 34}, .family = AF_INET},
	};
}

void fake_relay_put_check(const struct fake_relay *fake, const struct relay_check *check)
{
	fake_relay_put(fake, RELAY_CHECK, check,
		       offsetof(struct relay_check, path) + strlen(check->path) + 1);
}

static void stop(void *arg)
{
	loop_stop(arg);
}

void fake_relay_run(struct loop *loop, unsigned ms)
{
	struct loop_timer timer = {.expired = stop, .arg = loop};

	loop_timer_start(loop, &timer, ms * UINT64_C(1000000));
	ck_assert_int_eq(loop_run(loop), 0);
	loop_timer_stop(loop, &timer);
}
