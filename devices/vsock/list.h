/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A circular list of links that are embedded in their owners. A link that is in no list points to
 * itself, so removing it twice is harmless.
 */
#ifndef CORDON_VSOCK_LIST_H
#define CORDON_VSOCK_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

/* The struct that contains a link. */
#define list_entry(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

static inline void list_init(struct list *link)
{
	link->next = link;
	link->prev = link;
}

/* For a head: whether the list is empty. For a link: whether it is in no list. */
static inline bool list_empty(const struct list *link)
{
	return link->next == link;
}

static inline void list_remove(struct list *link)
{
	link->next->prev = link->prev;
	link->prev->next = link->next;
	list_init(link);
}

/* Appends a link that is in no list. */
static inline void list_append(struct list *head, struct list *link)
{
	link->prev = head->prev;
	link->next = head;
	head->prev->next = link;
	head->prev = link;
}

/* Moves everything from one list to the end of another. */
static inline void list_move_all(struct list *to, struct list *from)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

#endif
