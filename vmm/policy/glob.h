/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Path patterns, and sets of patterns that are matched all at once.
 *
 * A pattern is absolute and consists of components: `*` matches any bytes within one, `?` one byte,
 * `[a-z]` and `[!a-z]` one byte of a set, `\x` the byte x; a component `**` matches zero or more
 * components. At the end, `**` matches the directory before it and everything beneath. A leading
 * dot is not special. Bytes are compared as they are: case matters.
 *
 * A component with wildcards is a bit-parallel non-deterministic automaton. A set is a trie of
 * components; a hash table finds literal children by name and wild ones by their fixed prefix or
 * suffix. Nothing backtracks: time grows with the path's length times, at worst, the number of
 * patterns with wildcards.
 */
#ifndef CORDON_POLICY_GLOB_H
#define CORDON_POLICY_GLOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/arena.h"
#include "vmm/base/err.h"

#define GLOB_NAME_MAX 255 /* bytes of a component: no file system has longer names */

enum glob_kind { GLOB_LITERAL, GLOB_WILD, GLOB_TREE /* ** */ };

/* The bytes that one position of a wild component matches. */
struct glob_set {
	uint64_t bits[4];
};

struct glob_part {
	enum glob_kind kind;
	/* GLOB_LITERAL: prefix is the name. GLOB_WILD: every match has this prefix and suffix. */
	const char *prefix, *suffix;
	unsigned prefix_length, suffix_length;
	unsigned count; /* positions, each matching one byte; stars are between them */
	unsigned words; /* of 64 bits, for count + 1 states */
	bool any;	/* the component is just `*` */
	bool star_first, star_last;
	const struct glob_set *set; /* count of them */
	const uint64_t *loop;	    /* bit i: a star is before position i (count: at the end) */
	const uint8_t *group;	    /* 256: bytes that are in the same sets share a group */
	const uint64_t *mask;	    /* [group][word]: bit i: position i matches the group */
};

struct glob {
	const char *text; /* as written */
	const struct glob_part *part;
	unsigned parts;
};

/*
 * Compiles length bytes of text. 0; or -EINVAL with a message and the offset of the error in *at;
 * or -ENOMEM.
 */
int glob_compile(struct arena *arena, const char *text, size_t length, struct glob *glob,
		 size_t *at, struct err *err);

/* Whether a component of a pattern matches a whole name. */
bool glob_part_matches(const struct glob_part *part, const char *name, size_t length);

/*
 * Whether a single pattern matches a normalised absolute path. For patterns of which there are too
 * many, or which are matched too rarely, for a set. Not for patterns of more than GLOB_PARTS_MAX
 * components, which match nothing.
 */
#define GLOB_PARTS_MAX 1023
bool glob_matches(const struct glob *glob, const char *path, size_t length);

/* Whether a is a literal directory followed by `**`, and b matches only paths in that tree. */
bool glob_is_beneath(const struct glob *a, const struct glob *b);

/* --- sets ------------------------------------------------------------------------------------- */

#define GLOB_NODES_MAX 65000 /* of a set */
#define GLOB_WILD_MAX  16000 /* of those, with a wildcard in or above them */
#define GLOB_NONE      UINT32_MAX

struct glob_tree;

/* Makes an empty set in the arena. NULL: out of memory. */
struct glob_tree *glob_tree_create(struct arena *arena);

/*
 * Adds a pattern with a value; if several match, the lowest value counts. Values must not decrease
 * from call to call. 0; -ENOMEM; -ENOSPC: too many patterns.
 */
int glob_tree_add(struct glob_tree *tree, const struct glob *glob, uint32_t value);

/* Ends adding: from now on the set can be matched. 0 or -ENOMEM. */
int glob_tree_finish(struct glob_tree *tree);

/* The lowest value of the patterns that match a normalised absolute path, or GLOB_NONE. */
uint32_t glob_tree_match(const struct glob_tree *tree, const char *path, size_t length);

/*
 * As glob_tree_match(), but checks the directories above the path in the same walk: it ends at the
 * first directory longer than root bytes for whose lowest value stop() returns true. Returns that
 * value, or the value of the whole path; *matched is the length of the path that it belongs to.
 */
struct glob_above {
	size_t root;
	bool (*stop)(const void *arg, uint32_t value); /* called once for equal values in a row */
	const void *arg;
};

uint32_t glob_tree_match_above(const struct glob_tree *tree, const char *path, size_t length,
			       const struct glob_above *above, size_t *matched);

/*
 * Whether everything beneath directory a gets the same value beneath directory b, where same()
 * compares two values. May return false when they are the same, never true when they are not.
 */
bool glob_tree_same_beneath(const struct glob_tree *tree, const char *a, size_t a_length,
			    const char *b, size_t b_length,
			    bool (*same)(const void *arg, uint32_t x, uint32_t y), const void *arg);

#endif
