/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The nodes of a saved session: paths, and nothing of the files there. Saved bytes are hostile
 * input.
 */
#ifndef CORDON_FILES_TREE_SAVE_H
#define CORDON_FILES_TREE_SAVE_H

#include "vmm/files/internal.h"

/* What a node is called that has no place. The root's number is 0. */
#define TREE_NOWHERE UINT32_MAX

struct tree_save {
	struct pack *to;
	size_t at; /* where the count is written at the end */
	uint32_t count;
};

void tree_save_begin(struct tree_save *save, struct pack *to);

/*
 * Writes the names from the last one that was written down to the node, whose number is
 * node->saved from then on. If there is none it is TREE_NOWHERE, as that of all nodes on the way up
 * to the one that is gone: so no node is walked over twice.
 */
void tree_save_node(struct tree_save *save, struct node *node);
void tree_save_end(struct tree_save *save);
/* Call for each of these nodes when all is saved. */
void tree_save_forget(struct node *node);

struct tree_saved {
	struct node **node; /* by number, each with a reference */
	uint32_t count;
};

/* 0, -EINVAL, -ENFILE or -ENOMEM; tree_restore_end() follows in any case. */
int tree_restore(struct tree *tree, struct tree_saved *saved, struct unpack *from);
/* The node of a number, with a reference: 0, -EINVAL or -ENFILE. */
int tree_restored(struct tree *tree, const struct tree_saved *saved, uint32_t number,
		  struct node **node);
void tree_restore_end(struct tree *tree, struct tree_saved *saved);

#endif
