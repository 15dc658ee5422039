/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/approval_memory.h"

#include <stdlib.h>
#include <string.h>

struct decision {
	uint64_t hash;
	char *key; /* NULL: free */
	bool yes;
};

struct object {
	uint64_t hash, seen; /* seen: when, as a number that rises */
	char *key;	     /* NULL: free */
	struct approval_history history;
};

struct approval_memory {
	struct decision decision[APPROVAL_DECISIONS];
	unsigned next;
	struct object object[APPROVAL_OBJECTS];
	uint64_t now;
};

/* FNV-1a, to compare strings rarely: the tables are searched as a whole. */
static uint64_t hash_of(const char *key)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; *key; key++)
		hash = (hash ^ (uint8_t)*key) * UINT64_C(0x100000001b3);
	return hash;
}

static bool same_key(const char *a, uint64_t a_hash, const char *b, uint64_t b_hash)
{
	return a && a_hash == b_hash && strcmp(a, b) == 0;
}

/* --- decisions -------------------------------------------------------------------------------- */

static int find_decision(const struct approval_memory *memory, const char *key, uint64_t hash)
{
	int i;

	for (i = 0; i < APPROVAL_DECISIONS; i++)
		if (same_key(memory->decision[i].key, memory->decision[i].hash, key, hash))
			return i;
	return -1;
}

int approval_memory_decision(const struct approval_memory *memory, const char *key)
{
	int i = find_decision(memory, key, hash_of(key));

	return i < 0 ? -1 : memory->decision[i].yes;
}

void approval_memory_decide(struct approval_memory *memory, const char *key, bool yes)
{
	uint64_t hash = hash_of(key);
	int i = find_decision(memory, key, hash);
	struct decision *decision;
	char *copy;

	if (i >= 0) {
		memory->decision[i].yes = yes;
		return;
	}
	copy = strdup(key);
	if (!copy)
		return;
	decision = &memory->decision[memory->next++ % APPROVAL_DECISIONS];
	free(decision->key);
	*decision = (struct decision){.hash = hash, .key = copy, .yes = yes};
}

/* --- history ---------------------------------------------------------------------------------- */

static int find_object(const struct approval_memory *memory, const char *key, uint64_t hash)
{
	int i;

	for (i = 0; i < APPROVAL_OBJECTS; i++)
		if (same_key(memory->object[i].key, memory->object[i].hash, key, hash))
			return i;
	return -1;
}

/* Takes a free place, or that of the object which was not seen for longest. NULL: no memory. */
static struct object *add_object(struct approval_memory *memory, const char *key, uint64_t hash)
{
	struct object *object = &memory->object[0];
	char *copy = strdup(key);
	unsigned i;

	if (!copy)
		return NULL;
	for (i = 1; i < APPROVAL_OBJECTS; i++)
		if (memory->object[i].seen < object->seen)
			object = &memory->object[i];
	free(object->key);
	*object = (struct object){.hash = hash, .key = copy};
	return object;
}

void approval_memory_count(struct approval_memory *memory, const char *key,
			   enum approval_event event)
{
	uint64_t hash = hash_of(key);
	int i = find_object(memory, key, hash);
	struct object *object = i < 0 ? add_object(memory, key, hash) : &memory->object[i];

	if (!object)
		return;
	object->seen = ++memory->now;
	object->history.asked += event == APPROVAL_ASKED;
	object->history.allowed += event == APPROVAL_ALLOWED;
	object->history.denied += event == APPROVAL_DENIED || event == APPROVAL_UNATTENDED;
	object->history.unattended += event == APPROVAL_UNATTENDED;
	object->history.proposed += event == APPROVAL_PROPOSED;
}

struct approval_history approval_memory_history(const struct approval_memory *memory,
						const char *key)
{
	int i = find_object(memory, key, hash_of(key));
	struct approval_history none = {.asked = 0};

	return i < 0 ? none : memory->object[i].history;
}

/* --- life ------------------------------------------------------------------------------------- */

struct approval_memory *approval_memory_create(void)
{
	return calloc(1, sizeof(struct approval_memory));
}

void approval_memory_destroy(struct approval_memory *memory)
{
	unsigned i;

	if (!memory)
		return;
	for (i = 0; i < APPROVAL_DECISIONS; i++)
		free(memory->decision[i].key);
	for (i = 0; i < APPROVAL_OBJECTS; i++)
		free(memory->object[i].key);
	free(memory);
}
