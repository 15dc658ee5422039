/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/sandbox.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "vmm/base/budget.h"
#include "vmm/base/log.h"
#include "vmm/sandbox/size.h"
#include "vmm/policy/guard.h"

#define SECOND_NS 1000000000ull

/* How much processor time a guest may take until its agent speaks, and how long it may take none.
 */
#define BOOT_NS		  (60 * SECOND_NS)
#define BOOT_SLOW_NS	  (180 * SECOND_NS) /* on hosts that emulate ring 0 */
#define RESTORE_NS	  (60 * SECOND_NS)
#define BOOT_IDLE_NS	  (20 * SECOND_NS)
#define BOOT_IDLE_PERCENT 1 /* of one processor */
#define BOOT_CHECK_NS	  (2 * SECOND_NS)

#define CONSOLE_LINES 16

/* Without a network a sandbox goes on: its owner is told. */
static void explain_network(const char *why)
{
	log_warning("the sandbox has no network: its card could not be configured: %s", why);
}

/* Asks for it once. True: the answer is to be awaited, or that published ports are open. */
static bool configure_network(struct sandbox *sandbox)
{
	if (sandbox->network_done)
		return sandbox->network.publishing;
	if (sandbox->network_asked > 0)
		return true;
	sandbox->network_asked = network_request(&sandbox->network, sandbox->machine.channel);
	if (sandbox->network_asked > 0)
		return true;
	sandbox->network_done = true;
	if (sandbox->network_asked < 0)
		explain_network(strerror(-sandbox->network_asked));
	return sandbox->network.publishing;
}

static void read_processes(void *arg, const struct policy *policy)
{
	*(uint32_t *)arg = (uint32_t)policy_limits(policy)->processes;
}

static uint32_t processes_of(struct sandbox *sandbox)
{
	uint32_t processes = 0;

	if (sandbox->config.guard)
		guard_with_policy(sandbox->config.guard, read_processes, &processes);
	return processes;
}

int sandbox_limit_processes(struct sandbox *sandbox, uint32_t processes, struct err *err)
{
	int ret;

	/* A guest of its own boot has no limit yet; a snapshot's may have one. */
	if (processes == sandbox->limit && (sandbox->limit_done || !sandbox->config.snapshot))
		return 0;
	ret = agent_channel_set_limits(sandbox->machine.channel, processes);
	if (ret == -EOPNOTSUPP)
		return err_set(err, EOPNOTSUPP,
			       "limit processes: the agent in the guest is too old for it: use an "
			       "initramfs of this version");
	if (ret < 0)
		return err_code(err, -ret, "limit processes");
	sandbox->limit = processes;
	return ret;
}

/* Asks for the limits of the policy. True: the answer is to be awaited, or the sandbox ends. */
static bool set_limits(struct sandbox *sandbox)
{
	struct err err = {.text = ""};

	if (sandbox->limit_done)
		return false;
	if (sandbox->limit_asked == 0)
		sandbox->limit_asked =
			sandbox_limit_processes(sandbox, processes_of(sandbox), &err);
	if (sandbox->limit_asked < 0)
		machine_finish(&sandbox->machine, MACHINE_NO_LIMIT, err.text);
	/* To take back what a snapshot's policy limited needs no waiting for. */
	if (sandbox->limit_asked > 0 && sandbox->limit == 0)
		sandbox->limit_asked = 0;
	sandbox->limit_done = sandbox->limit_asked == 0;
	return !sandbox->limit_done;
}

/* 1: they are set, -errno with a message; 0: the answer was about something else. */
static int limits_answered(struct sandbox *sandbox, uint32_t request, int error, struct err *err)
{
	if (sandbox->limit_asked <= 0 || request != (uint32_t)sandbox->limit_asked)
		return 0;
	sandbox->limit_asked = 0;
	if (error)
		return err_code(err, error, "limit processes");
	/* Meanwhile the policy may have been replaced: then the new one's limit is asked for. */
	sandbox->limit_done = sandbox->limit == processes_of(sandbox);
	return 1;
}

/* Asks the agent for published ports that need it, once. True: the answer is to be awaited. */
static bool configure_sockets(struct sandbox *sandbox)
{
	if (sandbox->sockets_done)
		return false;
	if (sandbox->sockets_asked == 0)
		sandbox->sockets_asked =
			publish_vsock_request(&sandbox->config.sockets, sandbox->machine.channel);
	if (sandbox->sockets_asked > 0)
		return true;
	sandbox->sockets_done = true;
	if (sandbox->sockets_asked == 0)
		return false;
	machine_finish(&sandbox->machine, MACHINE_NO_PORT, strerror(-sandbox->sockets_asked));
	return true;
}

/* Nothing of the user's runs before its shares are there, nor before its limits. */
static void ready(struct sandbox *sandbox)
{
	struct err err = {.text = ""};
	int ret = shares_mount(&sandbox->shares, sandbox->machine.channel, &err);

	if (ret < 0)
		machine_finish(&sandbox->machine, MACHINE_NO_SHARE, err.text);
	if (ret != 0 || set_limits(sandbox) || configure_network(sandbox) ||
	    configure_sockets(sandbox))
		return;
	sandbox->is_ready = true;
	vsock_publish_open(sandbox->machine.devices.vsock);
	loop_timer_stop(sandbox->machine.loop, &sandbox->boot_timer);
	if (sandbox->config.hostname)
		agent_channel_set_hostname(sandbox->machine.channel, sandbox->config.hostname);
	sandbox->ops->ready(sandbox->arg);
}

/* Who publishes a port wants a server to be reached: without it there is no point in going on. */
static void network_published(void *arg, const char *failure)
{
	struct sandbox *sandbox = arg;

	if (failure)
		machine_finish(&sandbox->machine, MACHINE_NO_PORT, failure);
	else
		ready(sandbox);
}

static const struct network_ops network_ops = {.published = network_published};

/* --- the root file system --------------------------------------------------------------------- */

static void fail_root(struct sandbox *sandbox, const struct err *err)
{
	machine_finish(&sandbox->machine, MACHINE_NO_ROOT, err->text);
}

/* What a template can't have comes now; then commands can. */
static void prepare(struct sandbox *sandbox)
{
	struct machine *machine = &sandbox->machine;
	struct err err;

	if (!sandbox->root.wanted || sandbox->root.present) {
		ready(sandbox);
		return;
	}
	sandbox->root_asked = root_request(&sandbox->root, &sandbox->config.root, &machine->devices,
					   machine->channel, &err);
	if (sandbox->root_asked < 0)
		fail_root(sandbox, &err);
}

static void root_answered(struct sandbox *sandbox, int error)
{
	struct err err;

	sandbox->root_asked = 0;
	/* EALREADY: it was done, and the connection was lost before the answer came. */
	if (error == 0 || error == EALREADY) {
		ready(sandbox);
		return;
	}
	root_explain(&sandbox->root, error, &err);
	fail_root(sandbox, &err);
}

/* --- a life of its own ------------------------------------------------------------------------ */

void sandbox_set_time(struct sandbox *sandbox)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	agent_channel_set_time(sandbox->machine.channel, now.tv_sec, (uint32_t)now.tv_nsec);
}

static void clock_jumped(void *arg)
{
	/* An agent that has not connected yet gets the time when it does. */
	sandbox_set_time(arg);
}

void sandbox_reseed(struct sandbox *sandbox)
{
	uint8_t seed[64];

	if (getrandom(seed, sizeof(seed), 0) == sizeof(seed))
		agent_channel_reseed(sandbox->machine.channel, seed, sizeof(seed));
	explicit_bzero(seed, sizeof(seed));
}

/* --- making a template ------------------------------------------------------------------------ */

static void save_template(void *arg)
{
	struct sandbox *sandbox = arg;
	struct err err = {.text = ""};

	if (template_save(&sandbox->template, &sandbox->machine, &err) < 0)
		log_warning("no template was made: %s", err.text);
	timeline_mark(&sandbox->machine.timeline, TIMELINE_TEMPLATE);
	machine_resume(&sandbox->machine);
	/* Later guests are made from this one's state, and must not know its random numbers. */
	sandbox_reseed(sandbox);
	prepare(sandbox);
}

/*
 * The agent has done all that came before: its start, which is the moment for a template; or, after
 * a restore, what makes the guest's life its own.
 */
static void agent_answered(void *arg, uint32_t request, int error)
{
	struct sandbox *sandbox = arg;
	struct err err = {.text = ""};
	int ret = shares_answered(&sandbox->shares, request, error, &err);

	if (ret < 0)
		machine_finish(&sandbox->machine, MACHINE_NO_SHARE, err.text);
	else if (ret > 0)
		ready(sandbox);
	if (sandbox->network_asked > 0 && request == (uint32_t)sandbox->network_asked) {
		sandbox->network_asked = 0;
		sandbox->network_done = true;
		network_answered(&sandbox->network);
		if (error)
			explain_network(strerror(error));
		ready(sandbox);
	}
	ret = limits_answered(sandbox, request, error, &err);
	if (ret < 0)
		machine_finish(&sandbox->machine, MACHINE_NO_LIMIT, err.text);
	else if (ret > 0)
		ready(sandbox);
	if (sandbox->sockets_asked > 0 && request == (uint32_t)sandbox->sockets_asked) {
		sandbox->sockets_asked = 0;
		sandbox->sockets_done = true;
		if (error)
			machine_finish(&sandbox->machine, MACHINE_NO_PORT, strerror(error));
		else
			ready(sandbox);
	}
	if (sandbox->root_asked > 0 && request == (uint32_t)sandbox->root_asked)
		root_answered(sandbox, error);
	if (sandbox->awaited <= 0 || request != (uint32_t)sandbox->awaited)
		return;
	/* The guest has slept since: nothing that it was about to do is left for its copies. */
	sandbox->awaited = sandbox->rehearsing ? agent_channel_ping(sandbox->machine.channel) : 0;
	sandbox->rehearsing = false;
	if (sandbox->awaited > 0)
		return;
	if (sandbox->restored || machine_pause(&sandbox->machine, save_template, sandbox) < 0)
		prepare(sandbox);
}

/* --- what the machine tells ------------------------------------------------------------------- */

static void agent_ready(void *arg)
{
	struct sandbox *sandbox = arg;

	if (sandbox->is_ready)
		return;
	/* Answers to what was asked on another connection don't come any more. */
	sandbox->limit_asked = 0;
	sandbox->network_asked = sandbox->sockets_asked = 0;
	shares_begin(&sandbox->shares);
	if (sandbox->restored) {
		sandbox_set_time(sandbox);
		sandbox_reseed(sandbox);
	} else if (!sandbox->template.path[0]) {
		prepare(sandbox);
		return;
	}
	sandbox->awaited = sandbox->restored ? 0 : agent_channel_rehearse(sandbox->machine.channel);
	sandbox->rehearsing = sandbox->awaited > 0;
	if (!sandbox->rehearsing)
		sandbox->awaited = agent_channel_ping(sandbox->machine.channel);
	if (sandbox->awaited <= 0)
		prepare(sandbox);
}

static void machine_ended(void *arg)
{
	struct sandbox *sandbox = arg;

	loop_timer_stop(sandbox->machine.loop, &sandbox->boot_timer);
	/* The next start shall not fail in the same way. */
	if (sandbox->restored && !sandbox->is_ready && sandbox->template.path[0] &&
	    sandbox->machine.end != MACHINE_NO_ROOT && sandbox->machine.end != MACHINE_NO_LIMIT &&
	    sandbox->machine.end != MACHINE_NO_SHARE && sandbox->machine.end != MACHINE_NO_PORT) {
		log_warning("the template did not work and is removed: the next start boots");
		unlink(sandbox->template.path);
	}
	sandbox->ops->ended(sandbox->arg);
}

static uint64_t cpu_now_ns(void)
{
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	return (uint64_t)used.tv_sec * SECOND_NS + (uint64_t)used.tv_nsec;
}

/*
 * Looks every BOOT_CHECK_NS how the guest is doing. What counts is the processor time that it has
 * got, which does not depend on how busy the host is; and a guest that uses none waits for
 * something that will not come.
 */
static void boot_check(void *arg)
{
	struct sandbox *sandbox = arg;
	uint64_t used = cpu_now_ns() - sandbox->boot_cpu_ns, spent = used - sandbox->boot_used_ns;

	sandbox->boot_used_ns = used;
	if (spent * 100 < BOOT_CHECK_NS * BOOT_IDLE_PERCENT)
		sandbox->boot_idle_ns += BOOT_CHECK_NS;
	else
		sandbox->boot_idle_ns = 0;
	if (used < sandbox->boot_max_ns && sandbox->boot_idle_ns < BOOT_IDLE_NS)
		loop_timer_start(sandbox->machine.loop, &sandbox->boot_timer, BOOT_CHECK_NS);
	else
		machine_finish(&sandbox->machine, MACHINE_AGENT_LOST,
			       "the guest runs, but its agent has not answered");
}

static const struct machine_ops machine_ops = {
	.agent_ready = agent_ready,
	.agent_answered = agent_answered,
	.ended = machine_ended,
};

/* --- creation --------------------------------------------------------------------------------- */

/*
 * Opens the template if there is one. Whatever goes wrong with it, the guest can still boot: why
 * says what did, or is empty.
 */
static void open_template(struct sandbox *sandbox, struct machine_config *config, struct err *why)
{
	int ret;

	if (sandbox->config.cold || !config->agent)
		return;
	ret = template_find(&sandbox->template, config, why);
	if (ret < 0) { /* then none can be made either */
		sandbox->template.path[0] = '\0';
		return;
	}
	ret = template_open(&sandbox->template, &sandbox->snapshot, why);
	if (ret == 0) {
		config->restore = &sandbox->snapshot;
		config->trusted = true;
	} else if (ret == -ENOENT) {
		why->text[0] = '\0'; /* the first run */
	}
}

/* From the template, if there is one and it works; else by booting, with one warning. */
static int create_from_template(struct sandbox *sandbox, struct loop *loop,
				struct machine_config *config, struct err *err)
{
	struct err why = {.text = ""};
	int ret;

	open_template(sandbox, config, &why);
	ret = machine_create(&sandbox->machine, loop, config, &machine_ops, sandbox, err);
	if (ret < 0 && config->restore) {
		why = *err;
		config->restore = NULL;
		config->trusted = false;
		ret = machine_create(&sandbox->machine, loop, config, &machine_ops, sandbox, err);
	}
	if (ret == 0 && why.text[0])
		log_warning("booting without a template: %s", why.text);
	return ret;
}

/* Before anything is made of the file. */
static int check_snapshot(struct sandbox *sandbox, struct err *err)
{
	const struct snapshot *snapshot = &sandbox->snapshot;
	const struct machine_size size = {
		.memory = snapshot->memory, .cpus = snapshot->cpus, .disk = snapshot->disk};
	int ret = machine_size_check_guard(&size, sandbox->config.guard, err);

	if (ret == 0 && sandbox->config.verify)
		ret = snapshot_verify_memory(snapshot, &sandbox->config.stop, err);
	return ret;
}

static int create_from_snapshot(struct sandbox *sandbox, struct loop *loop,
				struct machine_config *config, struct err *err)
{
	int ret = snapshot_open(&sandbox->snapshot, sandbox->config.snapshot, err);

	if (ret == 0)
		ret = check_snapshot(sandbox, err);
	if (ret < 0)
		return ret;
	config->stop = sandbox->config.stop;
	config->restore = &sandbox->snapshot;
	config->image = sandbox->config.root.image;
	config->trusted_image = sandbox->config.trusted_image;
	return machine_create(&sandbox->machine, loop, config, &machine_ops, sandbox, err);
}

static int create_machine(struct sandbox *sandbox, struct loop *loop, struct err *err)
{
	struct machine_config config = sandbox->config.machine;
	int ret;

	if (sandbox->config.snapshot)
		ret = create_from_snapshot(sandbox, loop, &config, err);
	else
		ret = create_from_template(sandbox, loop, &config, err);
	sandbox->restored = config.restore != NULL;
	if (ret == 0 && sandbox->config.snapshot)
		ret = shares_restore(&sandbox->shares, loop, sandbox->machine.devices.vsock,
				     &sandbox->snapshot, err);
	snapshot_close(&sandbox->snapshot);
	return ret;
}

static int open_root_share(struct sandbox *sandbox, struct err *err)
{
	struct files_share_config share;
	char path[PATH_MAX];

	root_share(&sandbox->root, &sandbox->config.root, path, &share);
	return shares_open_root(&sandbox->shares, &share, sandbox->root.image,
				sandbox->config.guard, err);
}

/* With whom it asks what a rule leaves to a person. */
static int open_network(struct sandbox *sandbox, struct loop *loop, struct err *err)
{
	const struct sandbox_config *config = &sandbox->config;
	struct network_config network = config->network;
	int ret = 0;

	if (config->guard)
		ret = approvals_create(&sandbox->questions, loop, config->guard, config->on_ask);
	if (ret < 0)
		return err_code(err, -ret, "questions");
	network.questions = sandbox->questions;
	return network_open(&sandbox->network, loop, &network, sandbox->machine.devices.net,
			    config->guard, &network_ops, sandbox, err);
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
	sandbox->boot_timer = (struct loop_timer){.expired = boot_check, .arg = sandbox};
	if (config->snapshot)
		ret = root_open_again(&sandbox->root, &config->root, err);
	else
		ret = root_open(&sandbox->root, &config->root, err);
	if (ret == 0)
		ret = shares_open(&sandbox->shares, config->guard, err);
	if (ret == 0 && sandbox->root.served)
		ret = open_root_share(sandbox, err);
	if (ret == 0 && config->folders)
		ret = shares_check_folders(&sandbox->shares, config->folders, config->folder_count,
					   err);
	if (ret == 0)
		ret = create_machine(sandbox, loop, err);
	if (ret == 0 && config->machine.agent)
		ret = publish_vsock_make(&sandbox->sockets, &sandbox->config.sockets,
					 sandbox->machine.devices.vsock, config->guard, err);
	if (ret == 0 && config->machine.agent)
		ret = shares_listen(&sandbox->shares, loop, sandbox->machine.devices.vsock, err);
	if (ret == 0 && config->machine.agent)
		ret = open_network(sandbox, loop, err);
	if (ret == 0 && config->machine.agent &&
	    (ret = host_clock_watch(&sandbox->clock, loop, clock_jumped, sandbox)) < 0)
		err_code(err, -ret, "the host's clock");
	if (ret < 0)
		sandbox_destroy(sandbox);
	return ret;
}

int sandbox_start(struct sandbox *sandbox, struct err *err)
{
	struct machine *machine = &sandbox->machine;
	int ret = budget_divide(err);

	if (ret < 0)
		return ret;
	sandbox->boot_cpu_ns = cpu_now_ns();
	/* For each processor: while one is brought up the others spin, which counts too. */
	sandbox->boot_max_ns =
		(machine->vm.ring0_emulated ? BOOT_SLOW_NS : BOOT_NS) * machine->config.cpus;
	if (sandbox->restored)
		sandbox->boot_max_ns = RESTORE_NS;
	if (machine->config.agent)
		loop_timer_start(machine->loop, &sandbox->boot_timer, BOOT_CHECK_NS);
	return machine_start(machine, err);
}

static int save_shares(void *arg, struct pack *state, struct err *err)
{
	struct sandbox *sandbox = arg;

	return shares_save(&sandbox->shares, sandbox->machine.devices.vsock, state, err);
}

int sandbox_save(struct sandbox *sandbox, const char *path, struct err *err)
{
	const struct snapshot_owner owner = {.save = save_shares, .arg = sandbox};

	return snapshot_write(&sandbox->machine, &owner, path, "snapshot\n", err);
}

void sandbox_destroy(struct sandbox *sandbox)
{
	if (sandbox->machine.loop) {
		loop_timer_stop(sandbox->machine.loop, &sandbox->boot_timer);
		/* Sessions of shares use the streams, and vCPUs the devices behind those. */
		machine_stop(&sandbox->machine);
	}
	host_clock_close(&sandbox->clock);
	network_close(&sandbox->network);
	approvals_destroy(sandbox->questions);
	sandbox->questions = NULL;
	shares_close(&sandbox->shares);
	machine_destroy(&sandbox->machine);
	root_close(&sandbox->root);
}

void sandbox_print_end(struct sandbox *sandbox)
{
	const struct machine *machine = &sandbox->machine;
	const char *message = machine->end_message.text;

	log_error("%s%s%s", machine_end_text(machine->end), message[0] ? ": " : "", message);
	/* Who switches the guest off in good order has nothing to look up there. */
	if (machine->config.console_fd < 0 && !machine->power_announced)
		console_print_tail(&machine->console, CONSOLE_LINES);
}
