/* SPDX-License-Identifier: Apache-2.0 */
/* The file server behind the virtio-fs device, and its session in snapshots. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "devices/fs/fs.h"
#include "vmm/base/pack.h"
#include "vmm/files/client.h"
#include "vmm/machine/snapshot_format.h"
#include "vmm/policy/guard.h"
#include "vmm/sandbox/file_checks.h"
#include "vmm/sandbox/shares_internal.h"

static unsigned link_count(const struct shares *shares)
{
	return shares->count + (shares->root ? 1 : 0);
}

/* The shares by their place in the list, then the root. */
static struct share_link *link_at(const struct shares *shares, unsigned index)
{
	return index < shares->count ? shares->link[index] : shares->root;
}

/* --- between device and server ---------------------------------------------------------------- */

_Static_assert(FS_SLOTS == FILES_SLOTS && FS_LANES == FILES_LANES &&
		       FS_LANE_BYTES == FILES_LANE_BYTES && FS_REQUEST_MAX == FILES_REQUEST_MAX &&
		       FS_REPLY_MAX == FILES_REPLY_MAX,
	       "device and server agree");

static const struct fs_server_ops server_ops = {
	.lane = files_client_lane,
	.take = files_client_take,
	.send = files_client_send,
	.wait = files_client_wait,
	.reply = files_client_reply,
	.release = files_client_release,
	.waits = files_client_waits,
};

static void on_done(void *arg, unsigned slot)
{
	struct shares *shares = arg;

	fs_done(shares->fs, slot);
}

static void on_room(void *arg)
{
	struct shares *shares = arg;

	fs_room(shares->fs);
}

static void on_died(void *arg, const char *why)
{
	struct shares *shares = arg;

	shares->died(shares->arg, why);
}

static void on_asked(void *arg, unsigned slot, const struct policy_request *request)
{
	struct shares *shares = arg;

	file_checks_ask(shares->checks, slot, request);
}

static void on_withdrawn(void *arg, unsigned slot)
{
	struct shares *shares = arg;

	file_checks_withdraw(shares->checks, slot);
}

static void send_verdict(void *arg, unsigned slot, enum policy_verdict verdict)
{
	struct shares *shares = arg;

	files_client_decide(shares->client, slot, verdict);
}

static const struct files_client_ops client_ops = {
	.done = on_done,
	.room = on_room,
	.died = on_died,
	.asked = on_asked,
	.withdrawn = on_withdrawn,
};

/* --- the session in a snapshot ---------------------------------------------------------------- */

const struct snapshot_owned shares_section = {SHARES_SECTION_SESSION, 1};

/* One of its directories. */
struct saved_link {
	unsigned number;
	bool read_only;
	char guest[FILES_GUEST_MAX], host[PATH_MAX];
};

static bool take_link(struct unpack *from, struct saved_link *saved)
{
	saved->number = unpack_u8(from);
	saved->read_only = unpack_u8(from) != 0;
	unpack_text(from, saved->guest, sizeof(saved->guest));
	unpack_text(from, saved->host, sizeof(saved->host));
	return !from->failed && saved->number <= SHARES_ROOT;
}

static struct share_link *find_link(const struct shares *shares, const struct saved_link *saved)
{
	unsigned i;

	if (saved->number == SHARES_ROOT)
		return shares->root;
	for (i = 0; i < shares->count; i++)
		if (strcmp(shares->link[i]->share.guest, saved->guest) == 0 &&
		    shares->link[i]->share.read_only == saved->read_only)
			return shares->link[i];
	return NULL;
}

/* Whether the root is another one. A directory may have moved: the user who restores names it. */
static bool is_other_root(const struct share_link *link, const struct saved_link *saved)
{
	return strcmp(link->host, saved->host) != 0 &&
	       !(link->host[0] == '/' && saved->host[0] == '/');
}

/* Those that do not go on get the numbers that no saved one has, so that no old one means them. */
static int number_others(struct shares *shares, const bool used[SHARES_ROOT + 1], struct err *err)
{
	unsigned next = 0, i;

	for (i = 0; i < shares->count; i++) {
		if (shares->link[i]->kept)
			continue;
		while (next < SHARES_ROOT && used[next])
			next++;
		if (next == SHARES_ROOT)
			return err_set(err, E2BIG,
				       "the snapshot's shares and the new ones are more than %u",
				       SHARES_ROOT);
		shares->used |= UINT64_C(1) << next;
		shares->link[i]->number = next++;
	}
	return 0;
}

static int match_links(struct shares *shares, struct unpack *from, bool *served, struct err *err)
{
	bool used[SHARES_ROOT + 1] = {false};
	uint32_t count = unpack_count(from, SHARES_ROOT + 1);
	struct saved_link saved;
	struct share_link *link;

	for (; count > 0; count--) {
		if (!take_link(from, &saved) || used[saved.number])
			return err_set(err, EINVAL, "what it says of a share makes no sense");
		used[saved.number] = true;
		if (saved.number < SHARES_ROOT)
			shares->used |= UINT64_C(1) << saved.number;
		link = find_link(shares, &saved);
		if (saved.number == SHARES_ROOT) {
			*served = true;
			if (!link || is_other_root(link, &saved))
				return err_set(err, EINVAL,
					       "the snapshot's sandbox has %s as its root: say so "
					       "with --rootfs",
					       saved.host);
		}
		if (link && !link->kept) {
			link->kept = true;
			link->number = saved.number;
		}
	}
	return from->failed ? err_set(err, EINVAL, "what it says of shares makes no sense")
			    : number_others(shares, used, err);
}

int shares_check_saved(struct shares *shares, const struct snapshot *snapshot, struct err *err)
{
	struct unpack payload;
	bool served = false;
	int ret = 0;

	if (snapshot_find(snapshot, SHARES_SECTION_SESSION, 0, &payload)) {
		shares->used = 0;
		ret = match_links(shares, &payload, &served, err);
	}
	if (ret == 0 && shares->root && !served && snapshot->image[0])
		return err_set(err, EINVAL,
			       "the snapshot's sandbox has %s as its root: say so with --rootfs",
			       snapshot->image);
	if (ret == 0 && shares->root && !served)
		ret = err_set(err, EINVAL,
			      "the snapshot's sandbox has no root that is served from %s: leave "
			      "out --rootfs",
			      shares->root->host);
	return ret;
}

/* Also the numbers of shares that are gone, without paths: the guest may still know them. */
static void save_links(const struct shares *shares, struct pack *to)
{
	const unsigned count = link_count(shares);
	uint64_t gone = shares->used;
	const struct share_link *link;
	unsigned i;

	for (i = 0; i < shares->count; i++)
		gone &= ~(UINT64_C(1) << shares->link[i]->number);
	pack_u32(to, count + (unsigned)__builtin_popcountll(gone));
	for (i = 0; i < count || gone; i++) {
		link = i < count ? link_at(shares, i) : NULL;
		pack_u8(to, (uint8_t)(link ? link->number : (unsigned)__builtin_ctzll(gone)));
		pack_u8(to, link && link->share.read_only);
		pack_text(to, link ? link->share.guest : "");
		pack_text(to, link ? link->host : "");
		gone &= link ? gone : gone - 1;
	}
}

int shares_save(struct shares *shares, bool mounted, struct pack *state, struct err *err)
{
	struct pack payload = {.limit = SNAPSHOT_STATE_MAX - state->length};
	int ret = 0;

	if (!shares->client && !shares->session)
		return 0;
	if (shares->client) {
		if (mounted)
			save_links(shares, &payload);
		else
			pack_u32(&payload, 0);
		ret = files_client_save(shares->client, &payload);
	} else {
		pack_bytes(&payload, shares->session, shares->session_length);
	}
	if (ret == 0 && payload.failed)
		ret = err_set(err, E2BIG,
			      "the guest has more files of its shares open than a snapshot can "
			      "hold");
	else if (ret < 0)
		err_code(err, -ret, "the file server's state");
	if (ret == 0)
		snapshot_add_section(state, SHARES_SECTION_SESSION, 0, &payload);
	pack_free(&payload);
	return ret;
}

/* --- start and end ---------------------------------------------------------------------------- */

/* Skips the directories, which shares_check_saved() has checked: the session follows. */
static bool find_session(const struct snapshot *saved, struct unpack *session)
{
	struct saved_link link;
	uint32_t count;

	if (!snapshot_find(saved, SHARES_SECTION_SESSION, 0, session))
		return false;
	for (count = unpack_count(session, SHARES_ROOT + 1); count > 0; count--)
		if (!take_link(session, &link))
			return false;
	return !session->failed;
}

/* The whole section: the numbers of its directories stay theirs, for shares of a later restore. */
static int keep_session(struct shares *shares, const struct unpack *section)
{
	shares->session_length = section->length;
	shares->session = malloc(shares->session_length + 1);
	if (!shares->session)
		return -ENOMEM;
	memcpy(shares->session, section->data, shares->session_length);
	return 0;
}

struct limits_made {
	uint64_t bytes, files;
};

static void find_limits(void *arg, const struct policy *policy)
{
	const struct policy_limits *limits = policy_limits(policy);
	struct limits_made *made = arg;

	made->bytes = policy_limit_effective(limits, POLICY_LIMIT_SHARE_DISK);
	made->files = policy_limit_effective(limits, POLICY_LIMIT_SHARE_FILES);
}

static struct limits_made limits_now(struct guard *guard)
{
	struct limits_made made = {0};

	if (guard)
		guard_with_policy(guard, find_limits, &made);
	return made;
}

int shares_start_server(struct shares *shares, struct files_client **out, struct files_client *old,
			const struct files_client_starter *starter,
			const struct files_client_ops *ops, struct err *err)
{
	const struct limits_made limits = limits_now(shares->guard);
	const struct share_link *link;
	const struct files_client_config config = {
		.guard = shares->guard,
		.bytes_max = limits.bytes,
		.files_max = limits.files,
		.ops = ops,
		.arg = shares,
		.old = old,
		.starter = starter,
	};
	unsigned i;
	int ret = files_client_create(out, shares->loop, &config, err);

	for (i = 0; ret == 0 && i < link_count(shares); i++) {
		link = link_at(shares, i);
		ret = files_client_add(*out, link->number, &link->share, link->cache);
		if (ret < 0)
			err_code(err, -ret, "share %s", link->host);
	}
	if (ret == 0)
		files_client_begin(*out);
	return ret;
}

static int open_checks(struct shares *shares)
{
	return shares->guard && !shares->checks
		       ? file_checks_create(&shares->checks, shares->guard, shares->questions,
					    send_verdict, shares)
		       : 0;
}

int shares_connect(struct shares *shares, struct loop *loop, struct fs *fs, struct guard *guard,
		   struct approvals *questions, const struct snapshot *saved,
		   void (*died)(void *arg, const char *why), void *arg, struct err *err)
{
	struct unpack session;
	bool has_session = saved && find_session(saved, &session);
	int ret;

	shares->fs = fs;
	shares->loop = loop;
	shares->guard = guard;
	shares->questions = questions;
	shares->died = died;
	shares->arg = arg;
	if (saved && link_count(shares) == 0) {
		ret = has_session ? keep_session(shares, &session) : 0;
		return ret < 0 ? err_code(err, -ret, "the file server's state") : 0;
	}
	if (open_checks(shares) < 0)
		return err_code(err, ENOMEM, "the file server");
	ret = shares_start_server(shares, &shares->client, NULL, NULL, &client_ops, err);
	if (ret < 0)
		return ret;
	ret = has_session ? files_client_restore(shares->client, &session) : 0;
	if (ret < 0)
		return err_code(err, -ret, "going on with the shares");
	fs_set_server(fs, &server_ops, shares->client);
	return 0;
}

/* --- another server --------------------------------------------------------------------------- */

/* The session that was kept for want of a server. */
static int restore_kept(struct shares *shares, struct files_client *next)
{
	struct unpack from = {.data = shares->session, .length = shares->session_length};
	struct saved_link link;
	uint32_t count;

	if (!shares->session)
		return 0;
	for (count = unpack_count(&from, SHARES_ROOT + 1); count > 0; count--)
		if (!take_link(&from, &link))
			return -EINVAL;
	return files_client_restore(next, &from);
}

int shares_hand_over(struct shares *shares, struct files_client *next)
{
	const struct limits_made limits = limits_now(shares->guard);
	struct files_client *old = shares->client;
	unsigned slot;
	int ret = open_checks(shares);

	/* The policy may have been replaced meanwhile. */
	if (ret == 0)
		ret = files_client_limit(next, limits.bytes, limits.files);
	/* Last: after it the old one does not go on. */
	if (ret == 0)
		ret = old ? files_client_succeed(next, old) : restore_kept(shares, next);
	if (ret < 0)
		return ret;
	files_client_lead(next, old, &client_ops);
	/* What waits for an operator is sent again, and asked again. */
	for (slot = 0; shares->checks && slot < FILES_SLOTS; slot++)
		file_checks_withdraw(shares->checks, slot);
	shares->client = next;
	fs_succession_end(shares->fs, &server_ops, next);
	files_client_destroy(old);
	free(shares->session);
	shares->session = NULL;
	return 0;
}

void shares_go_on(struct shares *shares)
{
	fs_succession_end(shares->fs, shares->client ? &server_ops : NULL, shares->client);
}

void shares_disconnect(struct shares *shares)
{
	if (shares->fs)
		shares_replace_end(shares);
	if (shares->fs)
		fs_set_server(shares->fs, NULL, NULL);
	shares_flush_end(shares);
	files_client_destroy(shares->client);
	shares->client = NULL;
	file_checks_destroy(shares->checks);
	shares->checks = NULL;
	shares->fs = NULL;
	free(shares->session);
	shares->session = NULL;
}

/* --- while the sandbox runs ------------------------------------------------------------------- */

void shares_policy_changed(struct shares *shares, struct guard *guard,
			   struct agent_channel *channel)
{
	const struct limits_made limits = limits_now(guard);

	if (!shares->client)
		return;
	files_client_limit(shares->client, limits.bytes, limits.files);
	if (channel)
		shares_drop(shares, channel);
}
