/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shares that come and go while the sandbox runs. A file server keeps to the directories that it
 * began with, so for each change another one takes over, with all that the guest has open.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "devices/fs/fs.h"
#include "vmm/files/client.h"
#include "vmm/policy/policy.h"
#include "vmm/sandbox/shares_internal.h"
#include "vmm/sandbox/shares_process.h"

#define LOOK_NS 1000000u

/* --- the list --------------------------------------------------------------------------------- */

struct share_link *shares_find(const struct shares *shares, const char *guest)
{
	char path[FILES_GUEST_MAX];
	unsigned i;

	if (files_guest_path(path, guest) < 0)
		return NULL;
	for (i = 0; i < shares->count; i++)
		if (strcmp(shares->link[i]->share.guest, path) == 0)
			return shares->link[i];
	return NULL;
}

const struct share_link *shares_below(const struct shares *shares, const struct share_link *link)
{
	size_t length = strlen(link->share.guest);
	unsigned i;

	for (i = 0; i < shares->count; i++)
		if (strncmp(shares->link[i]->share.guest, link->share.guest, length) == 0 &&
		    shares->link[i]->share.guest[length] == '/')
			return shares->link[i];
	return NULL;
}

struct share_link *shares_add(struct shares *shares, const struct policy_share *from, int opened,
			      struct guard *guard, struct err *err)
{
	struct share_link *link;

	if (shares_find(shares, from->guest)) {
		err_set(err, EEXIST, "%s is a share already: take that back first (cordon unshare)",
			from->guest);
		return NULL;
	}
	if (!shares->fs || shares->used == UINT64_MAX || shares->count == FILES_SHARES_MAX) {
		err_set(err, E2BIG, "a sandbox has at most %u shares in its life",
			shares->fs ? FILES_SHARES_MAX : 0);
		return NULL;
	}
	if (shares_link(&link, from, &opened, guard, err) < 0)
		return NULL;
	link->number = (unsigned)__builtin_ctzll(~shares->used);
	shares->used |= UINT64_C(1) << link->number;
	shares_put_back(shares, link);
	return link;
}

void shares_take(struct shares *shares, struct share_link *link)
{
	unsigned i = 0;

	while (i < shares->count && shares->link[i] != link)
		i++;
	if (i == shares->count)
		return;
	shares->count--;
	memmove(&shares->link[i], &shares->link[i + 1],
		(shares->count - i) *
			sizeof(shares->link[0])); /* NOLINT(bugprone-sizeof-expression) */
}

void shares_put_back(struct shares *shares, struct share_link *link)
{
	if (shares->count < FILES_SHARES_MAX)
		shares->link[shares->count++] = link;
}

void shares_free_number(struct shares *shares, const struct share_link *link)
{
	shares->used &= ~(UINT64_C(1) << link->number);
}

void shares_forget(struct share_link *link)
{
	shares_link_free(link);
}

/* --- another server --------------------------------------------------------------------------- */

/* The one that is to take over has ended; it has served nothing yet. */
static void next_died(void *arg, const char *why)
{
	struct shares *shares = arg;

	snprintf(shares->change.failure, sizeof(shares->change.failure), "the file server: %s",
		 why);
}

static const struct files_client_ops next_ops = {.died = next_died};

void shares_replace_end(struct shares *shares)
{
	struct shares_change *change = &shares->change;

	if (!change->next)
		return;
	loop_timer_stop(shares->loop, &change->timer);
	files_client_destroy(change->next);
	change->next = NULL;
	if (change->until_ns)
		shares_go_on(shares);
}

static void finish(struct shares *shares, const char *failure)
{
	struct shares_change *change = &shares->change;

	/* In case of a failure. */
	shares_replace_end(shares);
	change->done(change->arg, failure);
}

/*
 * The new server may begin slowly, or never where a root's file system hangs: until then the old
 * one serves.
 */
static bool has_begun(struct shares *shares)
{
	struct shares_change *change = &shares->change;

	if (!change->until_ns && files_client_started(change->next)) {
		change->until_ns = loop_now_ns() + SHARES_REPLACE_NS;
		fs_succession_begin(shares->fs);
	}
	return change->until_ns;
}

/* Waits, while the device takes no new request, for those that are under way. */
static void look(void *arg)
{
	struct shares *shares = arg;
	struct shares_change *change = &shares->change;
	struct err err;
	bool idle;
	int ret;

	if (!change->failure[0] && !has_begun(shares)) {
		loop_timer_start(shares->loop, &change->timer, LOOK_NS);
		return;
	}
	idle = fs_idle(shares->fs);
	if (change->failure[0]) {
		finish(shares, change->failure);
	} else if (!idle && loop_now_ns() < change->until_ns) {
		loop_timer_start(shares->loop, &change->timer, LOOK_NS);
	} else if (!idle) {
		finish(shares, "a request of the guest to its shares has not ended for 5 s: try "
			       "again");
	} else {
		ret = shares_hand_over(shares, change->next);
		if (ret == 0)
			change->next = NULL;
		else
			err_code(&err, -ret, "the file server could not be replaced");
		finish(shares, ret < 0 ? err.text : NULL);
	}
}

int shares_replace(struct shares *shares, void (*done)(void *arg, const char *failure), void *arg,
		   struct err *err)
{
	const struct files_client_starter starter = shares_process_starter(shares->launcher);
	struct shares_change *change = &shares->change;
	int ret;

	if (change->next)
		return err_set(err, EBUSY, "the shares are being changed");
	*change = (struct shares_change){
		.timer = {.expired = look, .arg = shares},
		.done = done,
		.arg = arg,
	};
	ret = shares_start_server(shares, &change->next, shares->client,
				  shares->launcher ? &starter : NULL, &next_ops, err);
	if (ret < 0) {
		files_client_destroy(change->next);
		change->next = NULL;
		return ret;
	}
	loop_timer_start(shares->loop, &change->timer, 0);
	return 0;
}
