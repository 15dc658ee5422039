/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/sandbox.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/budget.h"
#include "vmm/base/log.h"
#include "vmm/sandbox/dialogue.h"
#include "vmm/sandbox/isolate.h"
#include "vmm/sandbox/restore.h"
#include "vmm/policy/guard.h"

#define SECOND_NS 1000000000ull

/* How much processor time a guest may use before start-up is done. */
#define BOOT_NS	      (60 * SECOND_NS)
#define BOOT_SLOW_NS  (180 * SECOND_NS) /* on hosts that emulate ring 0 */
#define RESTORE_NS    (60 * SECOND_NS)
#define BOOT_CHECK_NS (2 * SECOND_NS)

#define CONSOLE_LINES 16

/* --- requests to the agent -------------------------------------------------------------------- */

void sandbox_set_time(struct sandbox *sandbox)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	agent_channel_set_time(sandbox->machine.channel, now.tv_sec, (uint32_t)now.tv_nsec, NULL);
}

static void clock_jumped(void *arg)
{
	/* An agent that has not connected yet gets the time when it connects. */
	sandbox_set_time(arg);
}

int sandbox_reseed(struct sandbox *sandbox, const struct agent_reply *reply)
{
	uint8_t seed[64];
	int ret = -EIO;

	if (getrandom(seed, sizeof(seed), 0) == sizeof(seed))
		ret = agent_channel_reseed(sandbox->machine.channel, seed, sizeof(seed), reply);
	explicit_bzero(seed, sizeof(seed));
	return ret;
}

/* --- start-up --------------------------------------------------------------------------------- */

void sandbox_renew_rules(struct sandbox *sandbox)
{
	struct machine *machine = &sandbox->machine;
	struct err err = {.text = ""};

	if (sandbox_renew_limits(sandbox, NULL, &err) < 0)
		machine_finish(machine, MACHINE_SETUP_FAILED, err.text);
	if (system_calls_request(sandbox, NULL, NULL, &err) < 0)
		machine_finish(machine, MACHINE_SETUP_FAILED, err.text);
	if (dialogue_exec_rules(sandbox, NULL, &err) < 0)
		machine_finish(machine, MACHINE_SETUP_FAILED, err.text);
}

static void startup_done(void *arg)
{
	struct sandbox *sandbox = arg;

	sandbox->is_ready = true;
	sandbox->machine.starting = false;
	sandbox_renew_rules(sandbox); /* the policy may have been replaced since those steps */
	dialogue_begin(sandbox);
	vsock_publish_open(sandbox->machine.devices.vsock);
	loop_timer_stop(sandbox->machine.loop, &sandbox->boot_timer);
	sandbox->ops->ready(sandbox->arg);
}

static void startup_failed(void *arg, const char *step, const char *why)
{
	struct sandbox *sandbox = arg;
	struct err err;

	err_set(&err, EIO, "%s: %s", step, why);
	machine_finish(&sandbox->machine, MACHINE_SETUP_FAILED, err.text);
}

static void startup_warned(void *arg, const char *step, const char *why)
{
	(void)arg;
	(void)step;
	log_warning("%s", why);
}

static const struct startup_ops startup_ops = {
	.done = startup_done,
	.failed = startup_failed,
	.warned = startup_warned,
};

/* A user who publishes a port needs it: without it the sandbox ends. */
static void network_published(void *arg, const char *failure)
{
	struct sandbox *sandbox = arg;

	if (failure)
		startup_fail(&sandbox->startup, STARTUP_PORTS, failure);
	/* Without a connection start-up stands still; the next one finds the ports published. */
	else if (sandbox->ports_published.done && agent_channel_is_ready(sandbox->machine.channel))
		sandbox->ports_published.done(sandbox->ports_published.arg, 0);
}

static const struct network_ops network_ops = {.published = network_published};

/* --- events of the machine -------------------------------------------------------------------- */

void sandbox_agent_ready(struct sandbox *sandbox)
{
	proposals_reset(sandbox->proposals);
	dialogue_forget(sandbox);
	sandbox_forget_limits(sandbox);
	sandbox->calls.known = false;
	if (sandbox->is_ready) {
		sandbox_renew_rules(sandbox);
		dialogue_begin(sandbox);
		return;
	}
	/* If the agent has connected before, start-up sends all of this again. */
	shares_begin(&sandbox->shares);
	sandbox_forget_replies(sandbox);
	startup_begin(&sandbox->startup);
}

static void agent_ready(void *arg)
{
	sandbox_agent_ready(arg);
}

static void machine_ended(void *arg)
{
	struct sandbox *sandbox = arg;

	loop_timer_stop(sandbox->machine.loop, &sandbox->boot_timer);
	/* Else the next start would fail in the same way. */
	if (sandbox->restored && !sandbox->is_ready && sandbox->template.path[0] &&
	    sandbox->machine.end != MACHINE_SETUP_FAILED) {
		log_warning("the template did not work and is removed: the next start boots");
		unlink(sandbox->template.path);
	}
	sandbox->ops->ended(sandbox->arg);
}

/* Every BOOT_CHECK_NS. */
static void boot_check(void *arg)
{
	struct sandbox *sandbox = arg;
	struct boot_use now = boot_use_now();

	if (boot_watch_check(&sandbox->boot_watch, &now, BOOT_CHECK_NS))
		loop_timer_start(sandbox->machine.loop, &sandbox->boot_timer, BOOT_CHECK_NS);
	else
		machine_finish(&sandbox->machine, MACHINE_AGENT_LOST,
			       "the guest runs, but its agent has not connected");
}

static const struct machine_ops machine_ops = {
	.agent_ready = agent_ready,
	.ended = machine_ended,
	.proposed = dialogue_proposed,
	.withdrawn = dialogue_withdrawn,
	.checked = dialogue_checked,
	.gone = dialogue_gone,
	.happened = dialogue_happened,
};

/* --- creation --------------------------------------------------------------------------------- */

/*
 * Opens the template if there is one. If that fails, the guest can still boot; why then holds the
 * reason, else it is empty.
 */
static void open_template(struct sandbox *sandbox, struct machine_config *config, struct err *why)
{
	int ret;

	if (sandbox->config.cold || !config->agent)
		return;
	ret = template_find(&sandbox->template, config, why);
	if (ret < 0) { /* then no template can be made either */
		sandbox->template.path[0] = '\0';
		return;
	}
	ret = template_open(&sandbox->template, &sandbox->snapshot, why);
	if (ret == 0) {
		config->restore = &sandbox->snapshot;
		config->trusted = true;
		config->keep_connections = template_keeps_agent(&sandbox->snapshot);
	} else if (ret == -ENOENT) {
		why->text[0] = '\0'; /* not made yet */
	}
}

/* Restores the template if there is one that works; else boots, with one warning. */
static int create_from_template(struct sandbox *sandbox, struct loop *loop, struct err *err)
{
	struct machine_config config = sandbox->config.machine;
	struct err why = {.text = ""};
	int ret;

	open_template(sandbox, &config, &why);
	ret = machine_create(&sandbox->machine, loop, &config, &machine_ops, sandbox, err);
	if (ret == 0 && config.restore) {
		ret = template_resume_agent(&sandbox->snapshot, &sandbox->machine, err);
		if (ret < 0)
			machine_destroy(&sandbox->machine);
	}
	if (ret < 0 && config.restore) {
		why = *err;
		config.restore = NULL;
		config.trusted = config.keep_connections = false;
		ret = machine_create(&sandbox->machine, loop, &config, &machine_ops, sandbox, err);
	}
	if (ret == 0 && why.text[0])
		log_warning("booting without a template: %s", why.text);
	return ret;
}

static void files_died(void *arg, const char *why)
{
	struct sandbox *sandbox = arg;

	struct err err;

	err_set(&err, EPIPE, "the file server of its shares: %s", why);
	machine_finish(&sandbox->machine, MACHINE_ERROR, err.text);
}

static int connect_shares(struct sandbox *sandbox, struct loop *loop, struct err *err)
{
	const struct snapshot *saved = sandbox->machine.restored ? &sandbox->snapshot : NULL;
	/* A limit that is too low for the monitor is so for the server: say it once. */
	int ret = budget_divide(err);

	if (ret < 0)
		return ret;
	sandbox->shares.launcher = sandbox->config.launcher;
	return shares_connect(&sandbox->shares, loop, sandbox->machine.devices.fs,
			      sandbox->config.guard, sandbox->questions, saved, files_died, sandbox,
			      err);
}

static int create_machine(struct sandbox *sandbox, struct loop *loop, struct err *err)
{
	int ret;

	if (sandbox->config.snapshot)
		ret = restore_build(sandbox, loop, &machine_ops, err);
	else
		ret = create_from_template(sandbox, loop, err);
	/* Before the snapshot is closed, which has the server's session. */
	if (ret == 0 && sandbox->config.machine.agent)
		ret = connect_shares(sandbox, loop, err);
	snapshot_close(&sandbox->snapshot);
	if (ret < 0)
		return ret;
	sandbox->restored = sandbox->machine.restored;
	sandbox->template_due = !sandbox->restored && sandbox->template.path[0];
	if (sandbox->template_due)
		log_progress("booting a guest of this size once: later starts go on from there");
	else if (!sandbox->restored)
		log_progress("booting the guest");
	return 0;
}

static int open_root_share(struct sandbox *sandbox, struct err *err)
{
	struct files_share_config share;
	char path[PATH_MAX];

	root_share(&sandbox->config.root, path, &share);
	return shares_open_root(&sandbox->shares, &share, sandbox->root.image,
				sandbox->config.guard, err);
}

/* The approvals, for `ask` rules: before all that asks. */
static int open_questions(struct sandbox *sandbox, struct loop *loop, struct err *err)
{
	const struct sandbox_config *config = &sandbox->config;
	int ret = 0;

	if (config->guard)
		ret = approvals_create(&sandbox->questions, loop, config->guard,
				       config->on_ask ? config->launcher : NULL);
	return ret < 0 ? err_code(err, -ret, "questions") : 0;
}

static int open_network(struct sandbox *sandbox, struct loop *loop, struct err *err)
{
	const struct sandbox_config *config = &sandbox->config;
	struct network_config network = config->network;

	network.questions = sandbox->questions;
	return network_open(&sandbox->network, loop, &network, sandbox->machine.devices.net,
			    config->guard, &network_ops, sandbox, err);
}

/* Opens and checks what the machine is made from; for a snapshot see restore.h. */
static int open_parts(struct sandbox *sandbox, struct err *err)
{
	const struct sandbox_config *config = &sandbox->config;
	int ret = config->snapshot ? restore_parse(sandbox, err) : 0;

	if (ret == 0 && config->snapshot)
		ret = root_open_again(&sandbox->root, &config->root, err);
	else if (ret == 0)
		ret = root_open(&sandbox->root, &config->root, err);
	if (ret == 0)
		ret = shares_open(&sandbox->shares, config->guard, err);
	if (ret == 0 && sandbox->root.served)
		ret = open_root_share(sandbox, err);
	if (ret == 0 && config->directories)
		ret = shares_check_directories(&sandbox->shares, config->directories,
					       config->directory_count, err);
	if (ret == 0 && config->snapshot)
		ret = restore_check(sandbox, err);
	return ret;
}

/* Opens what surrounds the machine: nothing for a guest without Cordon's agent. */
static int open_surroundings(struct sandbox *sandbox, struct loop *loop, struct err *err)
{
	const struct sandbox_config *config = &sandbox->config;
	struct vsock *vsock = sandbox->machine.devices.vsock;
	int ret;

	if (!config->machine.agent)
		return 0;
	ret = publish_vsock_make(&sandbox->sockets, &config->sockets, vsock, config->guard, err);
	if (ret == 0)
		ret = open_network(sandbox, loop, err);
	if (ret == 0)
		ret = dialogue_open(sandbox, loop, err);
	if (ret < 0)
		return ret;
	ret = host_clock_watch(&sandbox->clock, loop, clock_jumped, sandbox);
	return ret < 0 ? err_code(err, -ret, "the host's clock") : 0;
}

int sandbox_create(struct sandbox *sandbox, struct loop *loop, const struct sandbox_config *config,
		   const struct sandbox_ops *ops, void *arg, struct err *err)
{
	int ret;

	memset(sandbox, 0, sizeof(*sandbox));
	sandbox->config = *config;
	sandbox->ops = ops;
	sandbox->arg = arg;
	sandbox->snapshot.fd = -1;
	if (config->machine.isolate && isolate_cores() == ISOLATE_CORES_NONE)
		log_warning("--isolate: this host's kernel has no core scheduling "
			    "(CONFIG_SCHED_CORE): other sandboxes may run on the same core");
	startup_init(&sandbox->startup, sandbox_steps, sandbox_step_count, &startup_ops, sandbox);
	sandbox->boot_timer = (struct loop_timer){.expired = boot_check, .arg = sandbox};
	ret = open_parts(sandbox, err);
	if (ret == 0 && config->machine.agent)
		ret = open_questions(sandbox, loop, err);
	if (ret == 0)
		ret = create_machine(sandbox, loop, err);
	if (ret == 0)
		ret = open_surroundings(sandbox, loop, err);
	if (ret < 0) {
		snapshot_close(&sandbox->snapshot);
		sandbox_destroy(sandbox);
	}
	return ret;
}

int sandbox_start(struct sandbox *sandbox, struct err *err)
{
	struct machine *machine = &sandbox->machine;
	int ret = budget_divide(err);
	struct boot_use now = boot_use_now();
	/* Times the processors: while one is brought up the others spin, which counts too. */
	uint64_t max_ns =
		(machine->vm.ring0_emulated ? BOOT_SLOW_NS : BOOT_NS) * machine->config.cpus;

	if (ret < 0)
		return ret;
	boot_watch_begin(&sandbox->boot_watch, &now, sandbox->restored ? RESTORE_NS : max_ns);
	machine->starting = machine->config.agent;
	if (machine->config.agent)
		loop_timer_start(machine->loop, &sandbox->boot_timer, BOOT_CHECK_NS);
	return machine_start(machine, err);
}

static int save_shares(void *arg, struct pack *state, struct err *err)
{
	struct sandbox *sandbox = arg;

	return shares_save(&sandbox->shares, true, state, err);
}

int sandbox_save(struct sandbox *sandbox, int fd, struct err *err)
{
	const struct snapshot_owner owner = {.section = &shares_section,
					     .section_count = 1,
					     .save = save_shares,
					     .arg = sandbox};

	return snapshot_write(&sandbox->machine, &owner, fd, "snapshot\n", err);
}

void sandbox_destroy(struct sandbox *sandbox)
{
	if (sandbox->machine.loop) {
		loop_timer_stop(sandbox->machine.loop, &sandbox->boot_timer);
		/* First: vCPUs use the device that the file server is connected to. */
		machine_stop(&sandbox->machine);
	}
	host_clock_close(&sandbox->clock);
	network_close(&sandbox->network);
	approvals_destroy(sandbox->questions);
	sandbox->questions = NULL;
	shares_close(&sandbox->shares);
	machine_destroy(&sandbox->machine);
	dialogue_close(sandbox);
	root_close(&sandbox->root);
}

void sandbox_print_end(struct sandbox *sandbox)
{
	const struct machine *machine = &sandbox->machine;
	const char *message = machine->end_message.text;

	log_error("%s%s%s", machine_end_text(machine->end), message[0] ? ": " : "", message);
	/* After an orderly power-off the console has nothing to add. */
	if (machine->config.console_fd < 0 && !machine->power_announced)
		console_print_tail(&machine->console, CONSOLE_LINES);
}
