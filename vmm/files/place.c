/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places: the place of a node, and the policy's decisions about it.
 *
 * The path is walked from the share's root for every operation. A file that the host has moved is
 * therefore found at its new path or not at all, and the decision is about that same path.
 *
 * One decision is one walk of the path, whatever its depth: the policy's tree of patterns yields on
 * the way to the end also a rule that hides a directory above (vmm/policy/decide.c), as all
 * ancestors of a place lie on the way to it. The one exception is is_hidden_above(), which a rename
 * or link needs for its new name, as hidden names there are refused in another way.
 */
#include <errno.h>
#include <string.h>

#include "vmm/files/host_root.h"
#include "vmm/files/internal.h"

int place_of_any(const struct tree *tree, const struct node *node, struct place *place)
{
	size_t guest = strlen(tree->share->guest), length = 0, at;
	const struct node *up;

	for (up = node; up->parent; up = up->parent) {
		if (up->gone)
			return -ENOENT;
		length += up->length + 1u;
		if (length > PATH_MAX)
			return -ENAMETOOLONG;
	}
	memcpy(place->text, tree->share->guest, guest);
	place->at = guest + 1;
	place->length = guest + length;
	place->text[place->length] = '\0';
	for (at = place->length; node->parent; node = node->parent) {
		at -= node->length;
		memcpy(place->text + at, node->name, node->length);
		place->text[--at] = '/';
	}
	/* The root itself: the guest's path of it, and nothing below. */
	if (length == 0) {
		if (guest == 0)
			place->text[place->length++] = '/';
		place->text[place->at] = '\0';
	}
	return 0;
}

int place_of(struct tree *tree, struct node *node, struct place *place)
{
	int ret = node->parent ? may_be_in(tree, node->parent) : 0;

	return ret < 0 ? ret : place_of_any(tree, node, place);
}

int place_child(struct tree *tree, struct node *node, const char *name, size_t length,
		struct place *place)
{
	int ret = may_be_in(tree, node);

	return ret < 0 ? ret : place_child_any(tree, node, name, length, place);
}

int place_child_any(const struct tree *tree, const struct node *node, const char *name,
		    size_t length, struct place *place)
{
	int ret = place_of_any(tree, node, place);

	if (ret < 0)
		return ret;
	if (!node->parent)
		place->length = place->at - 1;
	if (place->length - place->at + 1 + length >= PATH_MAX)
		return -ENAMETOOLONG;
	place->text[place->length++] = '/';
	memcpy(place->text + place->length, name, length);
	place->length += length;
	place->text[place->length] = '\0';
	return 0;
}

/* --- the policy ------------------------------------------------------------------------------- */

static struct policy_request ask_for(const struct tree *tree, const struct place *place,
				     enum policy_op op)
{
	return (struct policy_request){
		.class = POLICY_FILE,
		.op = op,
		.object = place->text,
		.length = place->length,
		.rootfs = tree->share->rootfs,
		/* Everything in a hidden directory is hidden, up to the share's own root. */
		.root = place->at > 1 ? place->at - 1 : 1,
	};
}

/* Files that the share itself leaves out do not exist for the guest, whatever the rules say. */
static bool is_left_out(const struct tree *tree, const struct place *place)
{
	return tree->share->host_root && !host_root_shows(place->text, place->length);
}

static enum policy_verdict ask(struct tree *tree, const struct place *place, enum policy_op op)
{
	struct policy_request request = ask_for(tree, place, op);
	struct policy_decision decision;

	if (is_left_out(tree, place))
		return POLICY_HIDE;
	if (!tree->share->guard)
		return POLICY_ALLOW;
	/* There are too many lookups to log them. */
	if (op == POLICY_LOOKUP)
		return guard_decide(tree->share->guard, &request, NULL);
	guard_check(tree->share->guard, &request, &decision);
	if (decision.approved)
		tree->approved |= 1u << op;
	return decision.verdict;
}

/* Counts what is refused. error: for what is denied. */
static int result_of(struct tree *tree, enum policy_verdict verdict, int error)
{
	if (verdict == POLICY_ALLOW)
		return 0;
	if (verdict == POLICY_ASK)
		return -FILES_ASKED;
	atomic_fetch_add(&tree->usage->refused, 1);
	return verdict == POLICY_HIDE ? -ENOENT : error;
}

static bool changes(enum policy_op op)
{
	return op != POLICY_LOOKUP && op != POLICY_READ;
}

int place_quietly_allowed(struct tree *tree, const struct place *place, enum policy_op op)
{
	struct policy_request request = ask_for(tree, place, op);
	enum policy_verdict verdict;

	if (is_left_out(tree, place))
		return -ENOENT;
	if (changes(op) && tree->share->read_only)
		return -EROFS;
	if (!tree->share->guard)
		return 0;
	verdict = guard_decide(tree->share->guard, &request, NULL);
	return verdict == POLICY_ALLOW ? 0 : verdict == POLICY_HIDE ? -ENOENT : -EACCES;
}

bool place_asks(const struct tree *tree, const struct place *place, enum policy_op op)
{
	struct policy_request request = ask_for(tree, place, op);

	return tree->share->guard && !(changes(op) && tree->share->read_only) &&
	       !is_left_out(tree, place) &&
	       guard_decide(tree->share->guard, &request, NULL) == POLICY_ASK;
}

/* A read-only share refuses before any rule decides; the log has a line for that, too. */
static int refuse_change(struct tree *tree, const struct place *place)
{
	struct guard_note note = {
		.class = POLICY_FILE,
		.what = "read-only-share",
		.object = place->text,
	};

	atomic_fetch_add(&tree->usage->refused, 1);
	if (ask(tree, place, POLICY_LOOKUP) != POLICY_ALLOW)
		return -ENOENT;
	if (tree->share->guard)
		guard_note(tree->share->guard, &note);
	return -EROFS;
}

int place_allowed(struct tree *tree, const struct place *place, enum policy_op op)
{
	if (changes(op) && tree->share->read_only)
		return refuse_change(tree, place);
	return result_of(tree, ask(tree, place, op), -EACCES);
}

/* A policy that is replaced meanwhile makes the next request ask again, as its number is another.
 */
int node_shown(struct tree *tree, struct node *node, const struct place *place)
{
	uint64_t policy = tree->share->guard ? guard_version(tree->share->guard) + 1 : 0;
	int ret;

	if (policy && node->shown_policy == policy && node->shown_moves == tree->moves)
		return 0;
	ret = place_allowed(tree, place, POLICY_LOOKUP);
	node->shown_policy = ret == 0 ? policy : 0;
	node->shown_moves = tree->moves;
	return ret;
}

int place_creatable(struct tree *tree, const struct place *place, enum policy_op op)
{
	int ret = place_allowed(tree, place, op);

	return ret == -ENOENT ? -EACCES : ret;
}

/* Whether the directory that a place is in is hidden. */
static bool is_hidden_above(struct tree *tree, const struct place *place)
{
	struct policy_request request = ask_for(tree, place, POLICY_LOOKUP);
	const char *slash = memrchr(place->text, '/', place->length);

	request.length = (size_t)(slash - place->text);
	return tree->share->guard && request.length > request.root &&
	       guard_decide(tree->share->guard, &request, NULL) != POLICY_ALLOW;
}

int place_both_allowed(struct tree *tree, const struct place *from, const struct place *to,
		       enum policy_op op, bool directory)
{
	struct policy_request request = ask_for(tree, from, op);
	struct guard *guard = tree->share->guard;
	enum policy_verdict verdict;
	int ret = place_allowed(tree, from, POLICY_LOOKUP);

	if (ret < 0)
		return ret;
	if (is_hidden_above(tree, to))
		return -ENOENT;
	if (tree->share->read_only)
		return refuse_change(tree, from);
	if (!guard)
		return 0;
	request.other = to->text;
	request.other_length = to->length;
	/*
	 * If a directory may not be renamed, its entries may still be copied one by one, which is
	 * what mv does after EXDEV.
	 */
	verdict = directory ? guard_decide(guard, &request, NULL) : POLICY_DENY;
	if (verdict == POLICY_ALLOW || verdict == POLICY_ASK) {
		request.directory = true;
		ret = -EXDEV;
	} else {
		ret = -EACCES;
	}
	verdict = guard_check(guard, &request, NULL);
	return result_of(tree, verdict == POLICY_HIDE ? POLICY_DENY : verdict, ret);
}
