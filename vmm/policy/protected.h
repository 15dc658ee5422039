/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protected places: what the host runs, trusts or keeps secret in a directory that it shares. The
 * list is protected.inc; the presets' rules are made from it (scripts/presets.py), and `policy
 * check`, `policy learn`, `cordon why` and the warnings of `run` and `start` use it.
 */
#ifndef CORDON_POLICY_PROTECTED_H
#define CORDON_POLICY_PROTECTED_H

#include "vmm/policy/policy.h"

enum protected_group {
	PROTECTED_GIT,
	PROTECTED_SECRETS,
	PROTECTED_SHELL,
	PROTECTED_HOOKS,
	PROTECTED_PACKAGES,
	PROTECTED_EDITORS,
	PROTECTED_AGENTS,
	PROTECTED_CI,
	PROTECTED_BUILD,
};
#define PROTECTED_GROUPS 9

enum protected_verdict {
	PROTECTED_HIDE,	 /* a secret: it does not exist for the guest */
	PROTECTED_READ,	 /* the host runs or trusts it: the guest may read it */
	PROTECTED_WRITE, /* an exception from an entry below it: work changes it */
	PROTECTED_WARN,	 /* work changes it, and the host runs it later: no rule, but a warning */
};

struct protected_place {
	enum protected_group group;
	enum protected_verdict verdict;
	const char *patterns; /* separated by single spaces, relative; each holds at any depth */
	const char *reason;
};

/* The entries in order, until NULL. */
const struct protected_place *protected_place(size_t index);

/* What a group's places can do to the host: "the host's git runs the programs that it names". */
const char *protected_group_risk(enum protected_group group);

/* "hide", "read", "write", "warn". */
const char *protected_verdict_name(enum protected_verdict verdict);

/*
 * The first entry that matches an absolute path, or NULL. Without memory for the list's patterns
 * every path counts as matched by its first entry.
 */
const struct protected_place *protected_find(const char *path, size_t length);

/*
 * Of the directory that a path is, the name of a protected place in it, or NULL: "config.toml" of
 * "/w/.cargo". If that is protected, a link in the directory's place would lead around it.
 */
const char *protected_beneath(const char *path, size_t length);

/*
 * Whether git writes to a path by itself, following a symbolic link there: on the host it would
 * write wherever the guest's link leads.
 */
bool protected_written_by_git(const char *path, size_t length);

/*
 * Whether a directory that is moved could take symbolic links to such a place: where it was, none
 * was refused.
 */
bool protected_takes_links(const char *from, size_t from_length, const char *to, size_t to_length);

/*
 * Calls visit() for each pattern of an entry, of length bytes, with a relative path that it matches
 * ("x.pem" for "*.pem"), until that returns false.
 */
void protected_examples(const struct protected_place *place,
			bool (*visit)(void *arg, const char *pattern, size_t length,
				      const char *path),
			void *arg);

#endif
