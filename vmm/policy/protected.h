/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protected places: paths in a share that the host runs, trusts or keeps secret. The list is
 * protected.inc. scripts/presets.py generates the presets' rules from it, and `policy check`,
 * `policy learn`, `cordon why` and the warnings of `run` and `start` use it.
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
	PROTECTED_HIDE,	 /* a secret: hidden from the guest */
	PROTECTED_READ,	 /* the host runs or trusts it: the guest may only read it */
	PROTECTED_WRITE, /* an exception to an entry below it: everyday work changes it */
	PROTECTED_WARN,	 /* work changes it, and the host runs it later: a warning, no rule */
};

struct protected_place {
	enum protected_group group;
	enum protected_verdict verdict;
	const char *patterns; /* separated by single spaces, relative; each holds at any depth */
	const char *reason;
};

/* The entries in order, until NULL. */
const struct protected_place *protected_place(size_t index);

/* How places of a group can hurt the host: "git on the host runs the programs that it names". */
const char *protected_group_risk(enum protected_group group);

/* "hide", "read", "write", "warn". */
const char *protected_verdict_name(enum protected_verdict verdict);

/*
 * The first entry that matches an absolute path, or NULL. If the list could not be compiled for
 * lack of memory, the first entry matches every path.
 */
const struct protected_place *protected_find(const char *path, size_t length);

/*
 * The name of a protected place in the directory at a path, or NULL: "config.toml" for "/w/.cargo".
 * A symbolic link in place of that directory would lead around the place's rule.
 */
const char *protected_beneath(const char *path, size_t length);

/*
 * Whether git itself writes to a path, following a symbolic link there: on the host it would write
 * wherever the guest's link leads.
 */
bool protected_written_by_git(const char *path, size_t length);

/*
 * Whether moving a directory could bring symbolic links to a place that git writes: they were not
 * refused where the directory was.
 */
bool protected_takes_links(const char *from, size_t from_length, const char *to, size_t to_length);

/*
 * Calls visit() for each pattern of an entry, of length bytes, with a relative path that matches it
 * ("x.pem" for "*.pem"), until visit() returns false.
 */
void protected_examples(const struct protected_place *place,
			bool (*visit)(void *arg, const char *pattern, size_t length,
				      const char *path),
			void *arg);

#endif
