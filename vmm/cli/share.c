/* SPDX-License-Identifier: Apache-2.0 */
/* cordon share, unshare: directories of the host for a sandbox that runs. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/cli/policy_remote.h"
#include "vmm/cli/request.h"
#include "vmm/cli/verb.h"
#include "vmm/control/share_links.h"
#include "vmm/files/files.h"
#include "vmm/launch/policy_file.h"
#include "vmm/launch/share_check.h"
#include "vmm/launch/sign.h"
#include "vmm/policy/live_share.h"

/* --- share ------------------------------------------------------------------------------------ */

struct share_options {
	bool allow_home;
};

static const struct option_entry entries[] = {
	{"allow-home", 0, OPTION_FLAG, NULL,
	 "let the share reach the home directory, / or several repositories",
	 .offset = offsetof(struct share_options, allow_home)},
};

static const struct option_table table = {"Options", entries, ARRAY_SIZE(entries)};

/* Whether it can be a share at all; where its file system hangs, this waits, and no sandbox. */
static int try_open(const struct policy_share *share, int fd, struct err *err)
{
	const struct files_share_config config = {
		.host = share->host, .opened = &fd, .guest = share->guest};
	struct files_share opened;
	struct err why;
	int ret = files_share_open(&opened, &config, &why);

	if (ret < 0)
		return err_set(err, -ret, "share %s", why.text);
	files_share_close(&opened);
	return 0;
}

/* The checks of --share at a start, with the policy that the sandbox then has. */
static int check(const struct policy *made, const char *guest, const struct policy_places *places,
		 bool allow_home, struct err *err)
{
	int ret = allow_home ? 0 : share_check_reach_of(made, guest, err);
	unsigned i;

	if (ret == 0)
		ret = policy_check_places(made, places->audit[0] ? places->audit : NULL, err);
	if (ret == 0 && places->key[0])
		ret = sign_check(places->key, made, NULL, err);
	for (i = 0; i < places->sockets && ret == 0; i++)
		ret = policy_check_outside(made, places->socket[i], "a socket of the sandbox", err);
	return ret;
}

static json_t *request_of(const struct policy_share *share)
{
	return json_pack("{s:s,s:s,s:o,s:b,s:b,s:I,s:I,s:s*}", "op", "share", "guest", share->guest,
			 "host", message_path(share->host), "ro", (int)share->read_only,
			 "host_owners", (int)share->host_owners, "uid", (json_int_t)share->uid,
			 "gid", (json_int_t)share->gid, "cache", policy_cache_name(share->cache));
}

static int add(int control, struct policy_options *parsed, const struct policy *policy,
	       const struct policy_places *places, bool allow_home, struct err *err)
{
	struct policy_share *share = &parsed->share[0];
	struct policy *made = NULL;
	struct message reply;
	char path[PATH_MAX];
	int fd = share_links_open(&places->writable, parsed->share_path[0], "share", err), ret;

	if (fd < 0)
		return fd;
	/* What is checked is what is shared. */
	ret = fd_real_path(fd, path);
	if (ret < 0)
		err_code(err, -ret, "share %s", parsed->share_path[0]);
	share->host = path;
	if (ret == 0)
		ret = try_open(share, fd, err);
	if (ret == 0)
		ret = policy_with_share(&made, policy, share, err);
	if (ret == 0)
		ret = check(made, share->guest, places, allow_home, err);
	if (ret == 0)
		share_warn(made);
	if (ret == 0)
		ret = client_request_with(control, request_of(share), &fd, 1, &reply, err);
	if (ret == 0)
		message_clear(&reply);
	policy_free(made);
	fd_close(&fd);
	return ret;
}

static int run_share(int argc, char **argv, struct err *err)
{
	static const struct verb_words words = {&verb_share, NULL, 2, 2,
						"in which sandbox, which directory?"};
	struct share_options options = {.allow_home = false};
	const struct option_set set = {&table, &options};
	static struct policy_options parsed;
	static struct policy_places places;
	struct policy *policy = NULL;
	int ret = verb_words(&words, &set, 1, argc, argv, err), control = -1;

	if (ret < 0)
		return ret;
	ret = policy_add_share(&parsed, argv[2], err);
	if (ret == 0)
		ret = control = client_connect(argv[1], 0, err);
	if (ret >= 0)
		ret = policy_fetch_places(control, &policy, &places, err);
	if (ret == 0)
		ret = add(control, &parsed, policy, &places, options.allow_home, err);
	policy_free(policy);
	share_tops_free(&places.writable);
	fd_close(&control);
	return ret;
}

static const struct option_table *const tables[] = {&table, NULL};

const struct verb verb_share = {
	.name = "share",
	.group = VERB_SANDBOXES,
	.usage = "[--allow-home] NAME HOST:GUEST[:OPTION...]",
	.options = tables,
	.summary = "share a directory of the host with a sandbox that runs",
	.description =
		"As `--share` of `run` and `start`, with the same options (`:ro` and the others), "
		"checks and rules: those of the policy come first. Programs in the sandbox see the "
		"directory at GUEST as soon as the command returns; what they have open goes on. "
		"The share is the sandbox's like every other one: a fork has it, and `restore` of "
		"a "
		"snapshot needs `--share` to go on with it. A sandbox has at most 64 shares in its "
		"life.",
	.examples = "  cordon share box ./data:/data:ro\n  cordon unshare box /data",
	.see_also = "unshare start",
	.run = run_share,
};

/* --- unshare ---------------------------------------------------------------------------------- */

static int run_unshare(int argc, char **argv, struct err *err)
{
	static const struct verb_words words = {&verb_unshare, NULL, 2, 2,
						"in which sandbox, which directory?"};
	struct message reply;
	int ret = verb_words(&words, NULL, 0, argc, argv, err);

	if (ret < 0)
		return ret;
	ret = client_request_once(
		argv[1], 0, json_pack("{s:s,s:s}", "op", "unshare", "guest", argv[2]), &reply, err);
	if (ret == 0)
		message_clear(&reply);
	return ret;
}

const struct verb verb_unshare = {
	.name = "unshare",
	.group = VERB_SANDBOXES,
	.usage = "NAME GUEST",
	.summary = "take a share of a sandbox that runs back",
	.description =
		"GUEST is the share's path in the sandbox. Once the command returns, nothing in "
		"the "
		"sandbox reaches the directory any more: what is open there fails with ESTALE, "
		"what "
		"was mapped with SIGBUS where it is not in the guest's memory. Shares that are "
		"lines of the policy stay.",
	.see_also = "share",
	.run = run_unshare,
};
