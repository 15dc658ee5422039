/* SPDX-License-Identifier: Apache-2.0 */
/* cordon fork: copies of a running sandbox, each with a monitor of its own. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/new_file.h"
#include "vmm/base/quantity.h"
#include "vmm/cli/verb.h"
#include "vmm/launch/network_options.h"
#include "vmm/launch/policy_file.h"
#include "vmm/cli/policy_remote.h"
#include "vmm/launch/rootfs.h"
#include "vmm/launch/sign.h"
#include "vmm/launch/spawn_monitor.h"
#include "vmm/launch/start_options.h"
#include "vmm/control/client.h"
#include "vmm/control/registry.h"
#include "vmm/policy/narrow.h"

#define FORKS_MAX 1000

/*
 * The policy of the children: the parent's, or a narrower one. Only at the start: `policy set` can
 * give each child any other one later.
 */
static int fork_policy(const char *name, struct policy_options *options, struct policy **policy,
		       struct err *err)
{
	const struct policy_source *source;
	struct policy *parent;
	int ret;

	if (!options->policies && options->allow_nets)
		return err_set(
			err, EINVAL,
			"fork: --allow-net goes with a --policy: the children have the policy "
			"of %s otherwise",
			name);
	ret = policy_fetch(name, &parent, NULL, err);
	*policy = parent;
	if (ret < 0 || !options->policies)
		return ret;
	source = policy_source(parent);
	options->shares = source->shares;
	options->rootfs = source->rootfs;
	memcpy(options->share, source->share, source->shares * sizeof(options->share[0]));
	ret = policy_load(policy, options, err);
	if (ret == 0)
		ret = policy_is_narrower(*policy, parent, err);
	policy_free(parent);
	return ret;
}

/*
 * The children get the parent's kind of network and its rates, if the policy has net rules.
 * Published ports and a tap exist once, so the parent keeps them.
 */
static void fork_network(struct network_config *network, const json_t *reply,
			 const struct policy *policy)
{
	const json_t *parent = json_object_get(reply, "network");

	network->user = json_is_true(json_object_get(parent, "user")) &&
			policy_rule_count(policy, POLICY_NET) > 0;
	network->bytes_per_second = (uint64_t)json_integer_value(json_object_get(parent, "bytes"));
	network->frames_per_second =
		(uint64_t)json_integer_value(json_object_get(parent, "packets"));
}

/* Checks the path of --audit, from which each child's log gets its name. */
static int fork_audit(struct policy_options *options, const struct policy *policy,
		      char absolute[PATH_MAX], struct err *err)
{
	int ret = start_absolute(&options->audit, absolute, err);

	if (ret < 0)
		return ret;
	if (options->audit && strlen(options->audit) + sizeof("-1000") > PATH_MAX)
		return err_set(err, ENAMETOOLONG, "%s: the path is too long", options->audit);
	return policy_check_places(policy, options->audit, err);
}

/* The root file system, if the parent's monitor serves it; one on disks is in the snapshot. */
static int fork_root(struct monitor_config *config, const json_t *reply, struct err *err)
{
	const char *rootfs = json_string_value(json_object_get(reply, "rootfs"));
	static json_t *settings; /* the monitors go on using it */
	int ret = rootfs ? rootfs_resolve(rootfs, &config->sandbox.root, &settings, err) : 0;

	return ret == 0 ? start_defaults(settings, &config->defaults, err) : ret;
}

/*
 * The directories that the parent shares: the guest may have redirected a path within a share
 * since. A share of a directory that the parent does not have is refused.
 */
static void fork_directories(struct sandbox_config *config, const json_t *reply)
{
	static struct share_directory
		directories[FILES_SHARES_MAX + 1]; /* the monitors look at it */
	const json_t *list = json_object_get(reply, "folders"), *item;
	const char *guest;
	size_t i;

	config->directories = directories;
	for (i = 0; i < json_array_size(list) && i < ARRAY_SIZE(directories); i++) {
		item = json_array_get(list, i);
		guest = json_string_value(json_object_get(item, "guest"));
		if (!guest)
			continue;
		snprintf(directories[i].guest, sizeof(directories[i].guest), "%s", guest);
		directories[i].device =
			(uint64_t)json_integer_value(json_object_get(item, "device"));
		directories[i].inode = (uint64_t)json_integer_value(json_object_get(item, "inode"));
		config->directory_count = (unsigned)i + 1;
	}
}

static char key_path[PATH_MAX]; /* of --sign, without links; "": none */

/* Has the sandbox saved into a file of that path. 0 with the reply, or -errno with a message. */
static int fork_save(const char *name, const char *path, struct message *reply, struct err *err)
{
	struct new_file file = NEW_FILE_NONE;
	int control = client_connect(name, 0, err), ret = control;

	if (ret < 0)
		return ret;
	ret = new_file_open_path(&file, path);
	if (ret < 0)
		err_code(err, -ret, "%s", path);
	if (ret == 0)
		ret = client_request_with(control, json_pack("{s:s}", "op", "snapshot"), &file.fd,
					  1, reply, err);
	if (ret == 0) {
		ret = new_file_finish(&file, true);
		if (ret < 0) {
			err_code(err, -ret, "%s", path);
			message_clear(reply);
		}
	}
	new_file_close(&file);
	fd_close(&control);
	return ret;
}

/* Saves a snapshot into the sandbox's directory, then starts the children from it one by one. */
static int fork_sandbox(const char *name, unsigned count, const char *audit, struct audit_key *key,
			struct policy *policy, struct err *err)
{
	const struct policy_limits *limits = policy_limits(policy);
	char path[PATH_MAX], log[PATH_MAX], file[32], child[SANDBOX_NAME_MAX + 16];
	struct monitor_config config = {
		.kind = "fork",
		.name = child,
		.policy = policy,
		.audit = audit ? log : NULL,
		.key = key, /* each monitor has its own copy of the memory */
		.key_path = key_path,
		.wall_ns = limits->wall_ns,
		.idle_ns = limits->idle_ns,
		.idle_pauses = limits->idle_pauses,
	};
	struct message reply;
	unsigned i;
	int ret;

	snprintf(file, sizeof(file), "fork-%d.snapshot", (int)getpid());
	ret = registry_path(name, file, path, err);
	if (ret == 0)
		ret = fork_save(name, path, &reply, err);
	if (ret < 0)
		return ret;
	fork_network(&config.sandbox.network, reply.body, policy);
	fork_directories(&config.sandbox, reply.body);
	config.sandbox.machine.isolate = json_is_true(json_object_get(reply.body, "isolate"));
	ret = fork_root(&config, reply.body, err);
	message_clear(&reply);
	config.sandbox.snapshot = path;
	config.sandbox.trusted_image = true;
	config.sandbox.hostname = child;
	config.sandbox.machine.agent = true;
	config.sandbox.machine.console_fd = -1;
	for (i = 1; ret == 0 && i <= count; i++) {
		snprintf(child, sizeof(child), "%s-%u", name, i);
		snprintf(log, sizeof(log), "%s-%u", audit ? audit : "", i);
		ret = spawn_monitor(&config, err);
		if (ret == 0)
			printf("%s\n", child);
	}
	/* The children have it mapped, so its name can go. */
	unlink(path);
	return ret;
}

static int run(int argc, char **argv, struct err *err)
{
	static const struct verb_words words = {&verb_fork, NULL, 2, 2,
						"how many copies of which sandbox?"};
	static struct policy_options options; /* without a policy: NAME's */
	const struct option_set sets[] = {
		{&policy_option_table, &options},
		{&audit_option_table, &options},
	};
	struct policy *policy = NULL;
	struct audit_key *key = NULL;
	char audit[PATH_MAX];
	const char *name;
	uint64_t count;
	int ret = verb_words(&words, sets, ARRAY_SIZE(sets), argc, argv, err);

	if (ret < 0)
		return ret;
	name = argv[1];
	ret = quantity_number(argv[2], 1, FORKS_MAX, &count, err);
	if (ret == 0)
		ret = fork_policy(name, &options, &policy, err);
	if (ret == 0)
		ret = fork_audit(&options, policy, audit, err);
	if (ret == 0)
		ret = sign_load(&key, options.sign, policy, NULL, err);
	if (ret == 0 && key && !realpath(options.sign, key_path))
		ret = err_sys(err, "key %s", options.sign);
	if (ret == 0)
		ret = fork_sandbox(name, (unsigned)count, options.audit, key, policy, err);
	audit_key_free(key);
	policy_free(policy);
	return ret;
}

static const struct option_table *const tables[] = {&policy_option_table, &audit_option_table,
						    NULL};

const struct verb verb_fork = {
	.name = "fork",
	.group = VERB_IMAGES,
	.usage = "[options] NAME N",
	.summary = "make N sandboxes like a running one, called NAME-1 to NAME-N",
	.description =
		"Each child goes on as if restored from a snapshot taken now; N is at most 1000. "
		"The children share the memory that they do not change. They have the policy of "
		"NAME, or the one given, which must not allow anything that NAME's denies.\n"
		"\n"
		"Each child has an audit log of its own, in its record; with `--audit FILE` the "
		"logs are FILE-1 to FILE-N. `--allow-net` needs `--policy`.",
	.options = tables,
	.examples = "  cordon fork box 20",
	.see_also = "snapshot restore cordon-policy(5)",
	.run = run,
};
