/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/startup.h"

#include <errno.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/log.h"
#include "vmm/sandbox/dialogue.h"
#include "vmm/sandbox/sandbox.h"

/* --- the cursor ------------------------------------------------------------------------------- */

void startup_init(struct startup *startup, const struct startup_step *step, size_t count,
		  const struct startup_ops *ops, void *arg)
{
	*startup = (struct startup){.step = step, .count = count, .ops = ops, .arg = arg};
}

void startup_fail(struct startup *startup, const char *step, const char *why)
{
	if (startup->over)
		return;
	startup->over = true;
	startup->running = startup->waiting = false;
	startup->ops->failed(startup->arg, step, why);
}

/* The step at the cursor has failed. */
static void step_failed(struct startup *startup, const struct err *err)
{
	const struct startup_step *step = &startup->step[startup->cursor];

	if (step->required) {
		startup_fail(startup, step->name, err->text);
		return;
	}
	startup->ops->warned(startup->arg, step->name, err->text);
	startup->cursor++;
}

static void on_reply(void *arg, int error);

/* Sends the requests of the step at the cursor and of those after it, up to one that must wait. */
static void step_on(struct startup *startup)
{
	const struct agent_reply reply = {.done = on_reply, .arg = startup};
	struct err err;
	int ret;

	while (startup->running && startup->cursor < startup->count) {
		err.text[0] = '\0';
		ret = startup->step[startup->cursor].request(startup->arg, &reply, &err);
		if (ret == STARTUP_WAIT) {
			startup->waiting = startup->running;
			return;
		}
		if (ret < 0)
			step_failed(startup, &err);
		else
			startup->cursor++;
	}
	if (!startup->running)
		return;
	startup->running = false;
	startup->over = true;
	startup->ops->done(startup->arg);
}

static void on_reply(void *arg, int error)
{
	struct startup *startup = arg;
	const struct startup_step *step = &startup->step[startup->cursor];
	struct err err = {.text = ""};
	int ret = 0;

	if (!startup->waiting)
		return;
	startup->waiting = false;
	if (error == AGENT_REPLY_LOST) {
		startup->running = false; /* until startup_begin() */
		return;
	}
	if (step->answered)
		ret = step->answered(startup->arg, error, &err);
	if (ret < 0)
		step_failed(startup, &err);
	else if (ret == 0)
		startup->cursor++;
	step_on(startup);
}

void startup_begin(struct startup *startup)
{
	if (startup->over)
		return;
	startup->cursor = 0;
	startup->waiting = false;
	startup->running = true;
	step_on(startup);
}

/* --- the steps of a sandbox ------------------------------------------------------------------- */

static void reseeded(void *arg, int error)
{
	struct sandbox *sandbox = arg;
	struct err err;

	if (error <= 0)
		return; /* a lost connection is followed by another start-up */
	err_code(&err, error, "the guest's random numbers");
	machine_finish(&sandbox->machine, MACHINE_SETUP_FAILED, err.text);
}

/*
 * A saved guest still has the time and the random numbers of the moment when it was saved. New
 * random numbers must come before any command: a reply to a later request says that they did.
 */
static int request_clock(void *arg, const struct agent_reply *reply, struct err *err)
{
	struct sandbox *sandbox = arg;
	const struct agent_reply own = {.done = reseeded, .arg = sandbox};
	int ret;

	(void)reply;
	if (!sandbox->restored)
		return 0;
	sandbox_set_time(sandbox);
	ret = sandbox_reseed(sandbox, &own);
	return ret < 0 ? err_code(err, -ret, "the guest's random numbers") : 0;
}

/* Old agents cannot rehearse; then a first command takes longer. */
static int request_rehearsal(void *arg, const struct agent_reply *reply, struct err *err)
{
	struct sandbox *sandbox = arg;

	(void)err;
	if (!sandbox->template_due)
		return 0;
	system_calls_rehearse(sandbox);
	if (agent_channel_rehearse(sandbox->machine.channel, reply) < 0)
		return 0;
	return STARTUP_WAIT;
}

/*
 * The reply means that the agent has done everything before: its start and the rehearsal, after
 * which it has slept, so that a template's copies have nothing left to finish; or, after a restore,
 * the clock. Where a filter of system calls follows, its reply means the same.
 */
static int request_ping(void *arg, const struct agent_reply *reply, struct err *err)
{
	struct sandbox *sandbox = arg;

	(void)err;
	if (!sandbox->template_due &&
	    !(sandbox->restored && !agent_channel_filters(sandbox->machine.channel)))
		return 0;
	if (agent_channel_ping(sandbox->machine.channel, reply) == 0)
		return STARTUP_WAIT;
	sandbox->template_due = false;
	return 0;
}

static void save_template(void *arg)
{
	struct sandbox *sandbox = arg;
	const struct agent_reply saved = sandbox->template_saved;
	struct err err = {.text = ""};

	sandbox->template_saved = (struct agent_reply){.done = NULL};
	if (template_check(&sandbox->template, &sandbox->config.machine, &err) < 0 ||
	    template_save(&sandbox->template, &sandbox->machine, &sandbox->shares, &err) < 0)
		log_warning("no template was made: %s", err.text);
	timeline_mark(&sandbox->machine.timeline, TIMELINE_TEMPLATE);
	machine_resume(&sandbox->machine);
	/* Later guests start from this one's state, and must not know its random numbers. */
	sandbox_reseed(sandbox, NULL);
	saved.done(saved.arg, 0);
}

static int request_template(void *arg, const struct agent_reply *reply, struct err *err)
{
	struct sandbox *sandbox = arg;

	(void)err;
	if (!sandbox->template_due)
		return 0;
	sandbox->template_due = false;
	if (machine_pause(&sandbox->machine, save_template, sandbox) < 0)
		return 0;
	sandbox->template_saved = *reply;
	return STARTUP_WAIT;
}

void sandbox_forget_replies(struct sandbox *sandbox)
{
	if (sandbox->template_saved.done)
		machine_resume(&sandbox->machine); /* and no template is saved */
	sandbox->template_saved = sandbox->ports_published = (struct agent_reply){.done = NULL};
}

static int request_root(void *arg, const struct agent_reply *reply, struct err *err)
{
	struct sandbox *sandbox = arg;
	struct machine *machine = &sandbox->machine;
	int ret;

	if (!sandbox->root.wanted || sandbox->root.present)
		return 0;
	ret = root_request(&sandbox->root, &sandbox->config.root, &machine->devices,
			   machine->channel, reply, err);
	return ret < 0 ? ret : STARTUP_WAIT;
}

static int root_answered(void *arg, int error, struct err *err)
{
	struct sandbox *sandbox = arg;

	/* EALREADY: the agent had built it, but the connection was lost before the reply came. */
	if (error == 0 || error == EALREADY)
		return 0;
	root_explain(&sandbox->root, error, err);
	return -error;
}

static int request_seal(void *arg, const struct agent_reply *reply, struct err *err)
{
	struct sandbox *sandbox = arg;
	int ret;

	if (!sandbox->config.root.read_only)
		return 0;
	ret = agent_channel_seal(sandbox->machine.channel, reply);
	if (ret == -EOPNOTSUPP)
		return err_set(err, EOPNOTSUPP,
			       "the agent in the guest is too old for --read-only: use an "
			       "initramfs of this version");
	return ret < 0 ? err_code(err, -ret, "--read-only") : STARTUP_WAIT;
}

static int seal_answered(void *arg, int error, struct err *err)
{
	(void)arg;
	/* EALREADY: as of the root file system. */
	if (error == 0 || error == EALREADY)
		return 0;
	if (error == ENOTDIR)
		return err_set(err, error,
			       "--read-only: /tmp or /run of the root file system is not a "
			       "directory");
	return err_code(err, error, "--read-only");
}

static int request_share(void *arg, const struct agent_reply *reply, struct err *err)
{
	struct sandbox *sandbox = arg;

	return shares_mount(&sandbox->shares, sandbox->machine.channel, reply, err);
}

static int share_answered(void *arg, int error, struct err *err)
{
	struct sandbox *sandbox = arg;
	int ret = shares_mounted(&sandbox->shares, error, err);

	return ret < 0 ? ret : STARTUP_AGAIN;
}

static int request_limits(void *arg, const struct agent_reply *reply, struct err *err)
{
	struct sandbox *sandbox = arg;
	int ret = sandbox_renew_limits(sandbox, reply, err);

	return ret > 0 ? STARTUP_WAIT : ret;
}

/* The policy may have been replaced meanwhile: then the new limits are requested. */
static int limits_answered(void *arg, int error, struct err *err)
{
	(void)arg;
	return error ? err_code(err, error, "the guest's limits") : STARTUP_AGAIN;
}

static int request_calls(void *arg, const struct agent_reply *reply, struct err *err)
{
	struct sandbox *sandbox = arg;
	int ret = system_calls_request(sandbox, NULL, reply, err);

	if (ret == 0)
		system_calls_note(sandbox);
	return ret <= 0 ? ret : STARTUP_WAIT;
}

/* The policy may have been replaced meanwhile: then its filter is requested. */
static int calls_answered(void *arg, int error, struct err *err)
{
	(void)arg;
	return error ? err_code(err, error, "the agent cannot filter them") : STARTUP_AGAIN;
}

static int request_programs(void *arg, const struct agent_reply *reply, struct err *err)
{
	int ret = dialogue_exec_rules(arg, reply, err);

	return ret <= 0 ? ret : STARTUP_WAIT;
}

/* The policy may have been replaced meanwhile. */
static int programs_answered(void *arg, int error, struct err *err)
{
	(void)arg;
	return error ? dialogue_exec_failed(error, err) : STARTUP_AGAIN;
}

static int no_network(int error, struct err *err)
{
	return err_set(err, error,
		       "the sandbox has no network: its card could not be configured: %s",
		       strerror(error));
}

static int request_network(void *arg, const struct agent_reply *reply, struct err *err)
{
	struct sandbox *sandbox = arg;
	int ret = network_request(&sandbox->network, sandbox->machine.channel, reply);

	return ret < 0 ? no_network(-ret, err) : ret > 0 ? STARTUP_WAIT : 0;
}

static int network_answered(void *arg, int error, struct err *err)
{
	struct sandbox *sandbox = arg;

	network_configured(&sandbox->network);
	return error ? no_network(error, err) : 0;
}

/* network_published() in sandbox.c is the reply. */
static int request_ports(void *arg, const struct agent_reply *reply, struct err *err)
{
	struct sandbox *sandbox = arg;

	(void)err;
	if (!sandbox->network.publishing)
		return 0;
	sandbox->ports_published = *reply;
	return STARTUP_WAIT;
}

static int request_sockets(void *arg, const struct agent_reply *reply, struct err *err)
{
	struct sandbox *sandbox = arg;
	int ret = publish_vsock_request(&sandbox->config.sockets, sandbox->machine.channel, reply);

	return ret < 0 ? err_code(err, -ret, "the agent cannot forward connections")
	       : ret   ? STARTUP_WAIT
		       : 0;
}

static int sockets_answered(void *arg, int error, struct err *err)
{
	(void)arg;
	return error ? err_code(err, error, "the agent cannot forward connections") : 0;
}

static int request_hostname(void *arg, const struct agent_reply *reply, struct err *err)
{
	struct sandbox *sandbox = arg;

	(void)reply;
	(void)err;
	if (sandbox->config.hostname)
		agent_channel_set_hostname(sandbox->machine.channel, sandbox->config.hostname,
					   NULL);
	return 0;
}

/*
 * Until the template is saved the guest holds nothing of a user's; shares and limits precede any
 * command.
 */
const struct startup_step sandbox_steps[] = {
	{"clock and random numbers", request_clock, NULL, true},
	{"rehearsal", request_rehearsal, NULL, false},
	{"agent", request_ping, NULL, false},
	{"template", request_template, NULL, false},
	{"root file system", request_root, root_answered, true},
	{"read-only root file system", request_seal, seal_answered, true},
	{"shares", request_share, share_answered, true},
	{"limits", request_limits, limits_answered, true},
	{"system calls", request_calls, calls_answered, true},
	{"programs", request_programs, programs_answered, true},
	{"network", request_network, network_answered, false},
	{STARTUP_PORTS, request_ports, NULL, true},
	{"published sockets", request_sockets, sockets_answered, true},
	{"host name", request_hostname, NULL, false},
};
const size_t sandbox_step_count = ARRAY_SIZE(sandbox_steps);
