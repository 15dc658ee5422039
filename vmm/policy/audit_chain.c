/* SPDX-License-Identifier: Apache-2.0 */
/* The audit log's chain, as whoever reads it checks it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/policy/audit_line.h"

#define HEAD "{\"seq\":"
#define TAIL ",\"hash\":\""

/* Finds the sequence number and where the hashed part ends. */
static int take_apart(const char *line, size_t length, uint64_t *sequence, size_t *hashed)
{
	size_t head = strlen(HEAD), tail = strlen(TAIL), at;

	if (length < head + tail + AUDIT_HASH + 2 || memcmp(line, HEAD, head) != 0)
		return -EBADMSG;
	*hashed = length - 2 - AUDIT_HASH - tail;
	if (memcmp(line + *hashed, TAIL, tail) != 0 || memcmp(line + length - 2, "\"}", 2) != 0)
		return -EBADMSG;
	*sequence = 0;
	for (at = head; line[at] >= '0' && line[at] <= '9' && *sequence < UINT64_MAX / 16; at++)
		*sequence = *sequence * 10 + (uint64_t)(line[at] - '0');
	return at > head && line[at] == ',' && *sequence > 0 ? 0 : -EBADMSG;
}

/* An oldest file that is not the first one begins with the hash of what came before it. */
static bool begins_with_previous(const char *line, size_t length, char hash[AUDIT_HASH + 1])
{
	static const char name[] = ",\"event\":\"continue\",\"previous\":\"";
	const char *found = memmem(line, length, name, sizeof(name) - 1);

	if (!found || (size_t)(line + length - found) < sizeof(name) + AUDIT_HASH)
		return false;
	memcpy(hash, found + sizeof(name) - 1, AUDIT_HASH);
	return true;
}

int audit_chain_next(struct audit_chain *chain, const char *line, size_t length, struct err *err)
{
	char before[AUDIT_HASH + 1] = "", hash[AUDIT_HASH + 1];
	bool unknown = false;
	uint64_t sequence;
	size_t hashed;

	if (take_apart(line, length, &sequence, &hashed) < 0)
		return err_set(err, EBADMSG, "after line %llu: this is no line of an audit log",
			       (unsigned long long)chain->sequence);
	if (chain->sequence > 0) {
		memcpy(before, chain->hash, sizeof(before));
		if (sequence == chain->sequence + 2)
			return err_set(err, EBADMSG, "line %llu is missing",
				       (unsigned long long)sequence - 1);
		if (sequence > chain->sequence + 1)
			return err_set(err, EBADMSG, "lines %llu to %llu are missing",
				       (unsigned long long)chain->sequence + 1,
				       (unsigned long long)sequence - 1);
		if (sequence != chain->sequence + 1)
			return err_set(err, EBADMSG, "line %llu comes after line %llu",
				       (unsigned long long)sequence,
				       (unsigned long long)chain->sequence);
	} else {
		chain->first = sequence;
		memset(before, '0', AUDIT_HASH);
		unknown = sequence > 1 && !begins_with_previous(line, length, before);
	}
	chain->unproven |= unknown;
	audit_hash(before, line, hashed, hash);
	/* Whoever begins in the middle of a file takes the first line's word for what was before.
	 */
	if (!unknown && memcmp(hash, line + hashed + strlen(TAIL), AUDIT_HASH) != 0)
		return err_set(err, EBADMSG, "line %llu was changed, or the one before it",
			       (unsigned long long)sequence);
	memcpy(chain->hash, line + hashed + strlen(TAIL), AUDIT_HASH);
	chain->hash[AUDIT_HASH] = '\0';
	chain->sequence = sequence;
	chain->closed = memmem(line, hashed, ",\"event\":\"close\"", 16) != NULL;
	return 0;
}
