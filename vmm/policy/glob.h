/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Patterns of paths, and sets of them that are asked all at once.
 *
 * A pattern is absolute and made of components: `*` stands for any bytes within one, `?` for one
 * byte, `[a-z]` and `[!a-z]` for one byte of a set, `\x` for x itself; a component `**` for none or
 * more components. As the last one, `**` stands for the
 * folder before it and for everything beneath that. A leading
 * dot is nothing special. Bytes are bytes: case counts.
 *
 * A component with wildcards is a non-deterministic automaton run in parallel bits; a set is a trie
 * of components, of which a hash finds the literal ones, and the others by their fixed beginnings
 * and ends. There is no backtracking anywhere: the time grows with the path's length times, at the
 * worst, the number of patterns with wildcards.
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

/* What one place of a wild component takes: a set of bytes. */
struct glob_set {
	uint64_t bits[4];
};

struct glob_part {
	enum glob_kind kind;
	/* GLOB_LITERAL: the bytes. GLOB_WILD: what every match begins with, and ends with. */
	const char *prefix, *suffix;
	unsigned prefix_length, suffix_length;
	unsigned count; /* GLOB_WILD: places, each taking one byte; stars stand between them */
	unsigned words; /* of 64 bits, for count + 1 states */
	bool any;	/* the component is just `*` */
	bool star_first, star_last;
	const struct glob_set *set; /* count of them */
	const uint64_t *loop;	    /* bit i: a star stands before place i (or at the end) */
	const uint8_t *group;	    /* 256: bytes that no set tells apart have one number */
	const uint64_t *mask;	    /* [group][word]: bit i: place i takes bytes of the group */
};

struct glob {
	const char *text; /* as written */
	const struct glob_part *part;
	unsigned parts;
};

/*
 * Compiles length bytes of text. 0; or -EINVAL with a message and *at, the offset of what is wrong;
 * or -ENOMEM.
 */
int glob_compile(struct arena *arena, const char *text, size_t length, struct glob *glob,
		 size_t *at, struct err *err);

/* Whether a wild or literal part matches a whole name. */
bool glob_part_matches(const struct glob_part *part, const char *name, size_t length);

/* --- sets ------------------------------------------------------------------------------------- */

#define GLOB_NODES_MAX 65000 /* of a set */
#define GLOB_WILD_MAX  16000 /* of those, with a wildcard in them or above them */
#define GLOB_NONE      UINT32_MAX

struct glob_tree;

/* Makes an empty set. NULL without memory. Its memory is the arena's. */
struct glob_tree *glob_tree_create(struct arena *arena);

/*
 * Adds a pattern with a value; where several match, the lowest value counts. Values must not
 * decrease from call to call. 0; -ENOMEM; -ENOSPC: too many patterns.
 */
int glob_tree_add(struct glob_tree *tree, const struct glob *glob, uint32_t value);

/* No more is added; it can be asked. 0 or -ENOMEM. */
int glob_tree_finish(struct glob_tree *tree);

/* The lowest value of the patterns that match a normalised absolute path, or GLOB_NONE. */
uint32_t glob_tree_match(const struct glob_tree *tree, const char *path, size_t length);

/*
 * As glob_tree_match(), with the directories on the way looked at in the same walk: the walk ends
 * at the first one longer than root bytes whose lowest value stop() is true for. The
 * value there or of the whole path; *matched is how many bytes of the path it is the value of.
 */
struct glob_above {
	size_t root;
	bool (*stop)(const void *arg, uint32_t value); /* asked once for equal values in a row */
	const void *arg;
};

uint32_t glob_tree_match_above(const struct glob_tree *tree, const char *path, size_t length,
			       const struct glob_above *above, size_t *matched);

/*
 * Whether the set can't tell apart what is beneath two folders: for every name, the lowest value
 * that matches it beneath one is, put through same(), as good as beneath the other. Errs on the
 * side of telling apart.
 */
bool glob_tree_same_beneath(const struct glob_tree *tree, const char *a, size_t a_length,
			    const char *b, size_t b_length,
			    bool (*same)(const void *arg, uint32_t x, uint32_t y), const void *arg);

#endif
