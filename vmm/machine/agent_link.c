/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/machine/agent_link.h"

#include <errno.h>
#include <stdio.h>

#include "vmm/agent/channel.h"
#include "vmm/base/log.h"
#include "vmm/base/pack.h"
#include "vmm/machine/machine.h"

/* How long a guest may run on after its agent's connection has ended, if it announced the end. */
#define POWER_NS 5000000000ull

/* How long the agent of a guest just restored may take to connect again. */
#define RECONNECT_NS 10000000000ull

static long link_read(void *arg, void *to, size_t length)
{
	struct machine *machine = arg;

	return vsock_stream_read(machine->agent_stream, to, length);
}

static long link_write(void *arg, const void *from, size_t length)
{
	struct machine *machine = arg;

	return vsock_stream_write(machine->agent_stream, from, length);
}

static void link_close(void *arg)
{
	struct machine *machine = arg;

	vsock_stream_close(machine->agent_stream);
	machine->agent_stream = NULL;
}

static void stream_readable(void *arg)
{
	struct machine *machine = arg;

	agent_channel_readable(machine->channel);
}

static void stream_writable(void *arg)
{
	struct machine *machine = arg;

	agent_channel_writable(machine->channel);
}

static void stream_closed(void *arg)
{
	struct machine *machine = arg;

	agent_channel_closed(machine->channel);
}

static const struct vsock_stream_ops stream_ops = {
	.readable = stream_readable,
	.writable = stream_writable,
	.closed = stream_closed,
};

static struct agent_transport transport_of(struct machine *machine)
{
	return (struct agent_transport){
		.read = link_read,
		.write = link_write,
		.close = link_close,
		.arg = machine,
	};
}

static int on_connection(void *arg, struct vsock_stream *stream)
{
	struct machine *machine = arg;
	const struct agent_transport transport = transport_of(machine);
	int ret;

	/* A workload may connect too, but only guest root may bind a low source port. */
	if (vsock_stream_peer_port(stream) > AGENT_SOURCE_PORT_MAX) {
		log_guest("a connection to the agent's port from port %u was refused",
			  vsock_stream_peer_port(stream));
		return -EACCES;
	}
	if (machine->agent_stream)
		return -EBUSY;
	machine->agent_stream = stream;
	ret = agent_channel_attach(machine->channel, &transport);
	if (ret < 0) {
		machine->agent_stream = NULL;
		return ret;
	}
	vsock_stream_set_ops(stream, &stream_ops, machine);
	timeline_mark(&machine->timeline, TIMELINE_CONNECTED);
	return 0;
}

static void on_ready(void *arg, const struct agent_info *info)
{
	struct machine *machine = arg;

	loop_timer_stop(machine->loop, &machine->lost_timer);
	timeline_mark(&machine->timeline, TIMELINE_CONNECTED); /* unless it was marked before */
	timeline_mark(&machine->timeline, TIMELINE_READY);
	log_debug("agent \"%s\", protocol %u.%u, connection %u", info->build, info->major,
		  info->minor, info->connections);
	machine->ops->agent_ready(machine->ops_arg);
}

static void on_power(void *arg, enum agent_power kind)
{
	struct machine *machine = arg;

	(void)kind;
	machine->power_announced = true;
}

static void on_proposed(void *arg, uint32_t number, const char *rule, size_t rule_length,
			const char *reason, size_t reason_length)
{
	struct machine *machine = arg;

	if (machine->ops->proposed)
		machine->ops->proposed(machine->ops_arg, number, rule, rule_length, reason,
				       reason_length);
}

static void on_withdrawn(void *arg, uint32_t number)
{
	struct machine *machine = arg;

	if (machine->ops->withdrawn)
		machine->ops->withdrawn(machine->ops_arg, number);
}

static void on_checked(void *arg, const struct agent_check *check)
{
	struct machine *machine = arg;

	if (machine->ops->checked)
		machine->ops->checked(machine->ops_arg, check);
	else
		agent_channel_verdict(machine->channel, check->number, EACCES, false, "");
}

static void on_gone(void *arg, uint32_t number)
{
	struct machine *machine = arg;

	if (machine->ops->gone)
		machine->ops->gone(machine->ops_arg, number);
}

static void on_happened(void *arg, const struct agent_event *event)
{
	struct machine *machine = arg;

	if (machine->ops->happened)
		machine->ops->happened(machine->ops_arg, event);
}

static void lost_expired(void *arg)
{
	struct machine *machine = arg;

	machine_finish(machine, MACHINE_AGENT_LOST,
		       machine->power_announced ? "the guest said that it ends, and did not"
						: machine->lost_message.text);
}

/*
 * A guest that has announced its end gets POWER_NS for it. A guest just restored may not know yet
 * that its old connections are gone, or may see its clock jump: if either costs it the new
 * connection as well, its agent connects again.
 */
static void on_lost(void *arg, const char *why)
{
	struct machine *machine = arg;

	if (machine->power_announced) {
		loop_timer_start(machine->loop, &machine->lost_timer, POWER_NS);
	} else if (machine->restored && machine->starting) {
		/* On a busy host both take as long as they take: the owner's limits count. */
		log_debug("the agent's connection is lost, and start-up waits for the next: %s",
			  why);
	} else if (loop_guest_now_ns(machine->loop) < machine->settled_ns) {
		err_set(&machine->lost_message, ENOTCONN, "%s", why);
		loop_timer_start(machine->loop, &machine->lost_timer, RECONNECT_NS);
	} else {
		machine_finish(machine, MACHINE_AGENT_LOST, why);
	}
}

int agent_link_create(struct machine *machine, struct err *err)
{
	static const struct agent_channel_hooks hooks = {
		.ready = on_ready,
		.lost = on_lost,
		.power = on_power,
		.proposed = on_proposed,
		.withdrawn = on_withdrawn,
		.checked = on_checked,
		.gone = on_gone,
		.happened = on_happened,
	};
	int ret;

	machine->lost_timer =
		(struct loop_timer){.expired = lost_expired, .arg = machine, .guest = true};
	ret = agent_channel_create(&machine->channel, machine->loop, &hooks, machine);

	if (ret == 0)
		ret = vsock_listen(machine->devices.vsock, AGENT_PORT, on_connection, machine);
	if (ret < 0)
		return err_code(err, -ret, "agent channel");
	return 0;
}

bool agent_link_save(struct machine *machine, struct pack *to)
{
	struct vsock *vsock = machine->devices.vsock;
	struct pack others = {.data = NULL};
	bool saved = machine->agent_stream && agent_channel_save(machine->channel, to) &&
		     vsock_stream_save(machine->agent_stream, to);

	/* Even without one: this clears the mark of the stream that was saved. */
	vsock_save_others(vsock, &others);
	pack_bytes(to, others.data, others.length);
	to->failed |= others.failed;
	pack_free(&others);
	return saved;
}

/* The stream comes second, but the channel writes to it. */
static int resume(struct machine *machine, struct unpack *from)
{
	const struct agent_transport transport = transport_of(machine);
	struct unpack channel = *from;
	int ret;

	unpack_skip(from, AGENT_CHANNEL_SAVED);
	ret = vsock_stream_restore(machine->devices.vsock, AGENT_PORT, from, &stream_ops, machine,
				   &machine->agent_stream);
	if (ret < 0)
		return ret;
	ret = vsock_restore_others(machine->devices.vsock, from);
	if (ret == 0 && (!unpack_done(from) ||
			 vsock_stream_peer_port(machine->agent_stream) > AGENT_SOURCE_PORT_MAX))
		ret = -EINVAL;
	if (ret == 0)
		ret = agent_channel_resume(machine->channel, &transport, &channel);
	if (ret < 0)
		link_close(machine);
	return ret;
}

int agent_link_resume(struct machine *machine, struct unpack *from, struct err *err)
{
	int ret = resume(machine, from);

	if (ret < 0)
		return err_code(err, -ret, "going on with the agent's connection");
	return 0;
}

void agent_link_destroy(struct machine *machine)
{
	loop_timer_stop(machine->loop, &machine->lost_timer);
	agent_channel_destroy(machine->channel);
	machine->channel = NULL;
}
