/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/publish_vsock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/loop.h"
#include "vmm/policy/guard.h"

/* The guest's vsock port to which the n-th socket leads. */
static uint32_t port_of(const struct publish_vsock_config *config, unsigned n)
{
	return config->socket[n].vsock ? config->socket[n].port : AGENT_FORWARD_PORT + n;
}

/* --- clients ---------------------------------------------------------------------------------- */

#define OBJECT_TEXT (sizeof(((struct socket_config *)0)->path) + 32)

/* The socket as on the command line: a visit's port may be the agent's forwarding port instead. */
static void describe(const struct publish_vsock *sockets, const struct vsock_visit *visit,
		     char object[OBJECT_TEXT])
{
	const struct socket_config *socket = sockets->config->socket;
	unsigned i;

	for (i = 0; i + 1 < sockets->config->count && strcmp(socket->path, visit->path) != 0; i++)
		socket++;
	snprintf(object, OBJECT_TEXT, "%s:%u%s", visit->path, socket->port,
		 socket->vsock ? "/vsock" : "");
}

static bool visit_began(void *arg, const struct vsock_visit *visit)
{
	const struct publish_vsock *sockets = arg;
	char object[OBJECT_TEXT], detail[96];

	describe(sockets, visit, object);
	snprintf(detail, sizeof(detail), "connection=%" PRIu64 " by uid %u, process %d",
		 visit->number, (unsigned)visit->uid, (int)visit->pid);
	return guard_note(sockets->guard, &(struct guard_note){.class = POLICY_NET,
							       .what = "publish-vsock",
							       .object = object,
							       .detail = detail}) == POLICY_ALLOW;
}

static void visit_ended(void *arg, const struct vsock_visit *visit)
{
	const struct publish_vsock *sockets = arg;
	uint64_t passed = loop_now_ns() - visit->begun_ns;
	char object[OBJECT_TEXT], detail[160];

	describe(sockets, visit, object);
	snprintf(detail, sizeof(detail),
		 "connection=%" PRIu64 " out=%" PRIu64 " in=%" PRIu64 " seconds=%" PRIu64
		 ".%03" PRIu64,
		 visit->number, visit->from_guest, visit->to_guest, passed / 1000000000u,
		 passed / 1000000u % 1000u);
	guard_note(sockets->guard, &(struct guard_note){.class = POLICY_NET,
							.what = "flow-end",
							.object = object,
							.detail = detail});
}

int publish_vsock_make(struct publish_vsock *sockets, const struct publish_vsock_config *config,
		       struct vsock *vsock, struct guard *guard, struct err *err)
{
	static const struct vsock_visit_ops ops = {.began = visit_began, .ended = visit_ended};
	struct err why;
	unsigned i;
	int ret;

	*sockets = (struct publish_vsock){.config = config, .guard = guard};
	if (guard)
		vsock_publish_watch(vsock, &ops, sockets);
	for (i = 0; i < config->count; i++) {
		ret = vsock_publish(vsock, config->socket[i].path, port_of(config, i), &why);
		if (ret < 0)
			return err_set(err, -ret, "--publish-vsock: %s", why.text);
	}
	return 0;
}

int publish_vsock_request(const struct publish_vsock_config *config, struct agent_channel *channel,
			  const struct agent_reply *reply)
{
	struct agent_forward forward[PUBLISH_VSOCK_MAX];
	unsigned i, count = 0;
	int ret;

	for (i = 0; i < config->count; i++) {
		if (config->socket[i].vsock)
			continue;
		forward[count].port = port_of(config, i);
		forward[count++].target = (uint16_t)config->socket[i].port;
	}
	if (count == 0)
		return 0;
	ret = agent_channel_forward(channel, forward, count, reply);
	return ret < 0 ? ret : 1;
}
