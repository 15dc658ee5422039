/* SPDX-License-Identifier: Apache-2.0 */
/* Verifies the chains of an audit log. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/policy/audit_hash.h"
#include "vmm/policy/audit_line.h"

#define TAIL ",\"hash\":\""

/* A parsed line. A search for a field never matches inside a string: quotes there are escaped. */
struct parts {
	uint64_t sequence;
	size_t hashed; /* bytes that the hash covers */
	const char *hash;
};

uint64_t audit_head_sequence(const char *line, size_t length)
{
	size_t at = strlen(AUDIT_HEAD);
	uint64_t sequence = 0;

	if (length < at || memcmp(line, AUDIT_HEAD, at) != 0)
		return 0;
	for (; at < length && line[at] >= '0' && line[at] <= '9' && sequence < UINT64_MAX / 16;
	     at++)
		sequence = sequence * 10 + (uint64_t)(line[at] - '0');
	return at < length && line[at] == ',' ? sequence : 0;
}

static int take_apart(const char *line, size_t length, struct parts *parts)
{
	size_t tail = strlen(TAIL), i;

	parts->sequence = audit_head_sequence(line, length);
	if (!parts->sequence || length < strlen(AUDIT_HEAD) + tail + AUDIT_HASH + 2)
		return -EBADMSG;
	parts->hashed = length - 2 - AUDIT_HASH - tail;
	parts->hash = line + parts->hashed + tail;
	if (memcmp(line + parts->hashed, TAIL, tail) != 0 ||
	    memcmp(line + length - 2, "\"}", 2) != 0)
		return -EBADMSG;
	for (i = 0; i < AUDIT_HASH; i++)
		if (!memchr("0123456789abcdef", parts->hash[i], 16))
			return -EBADMSG;
	return 0;
}

uint64_t audit_line_sequence(const char *line, size_t length)
{
	struct parts parts;

	return take_apart(line, length, &parts) == 0 ? parts.sequence : 0;
}

/* What follows ,"name": in the hashed part, if at least room bytes do; or NULL. */
static const char *field(const char *line, size_t length, const char *name, size_t room)
{
	const char *found = memmem(line, length, name, strlen(name));

	if (!found || (size_t)(line + length - found) < strlen(name) + room)
		return NULL;
	return found + strlen(name);
}

static bool is_event(const char *line, size_t length, const char *event)
{
	return field(line, length, event, 0) != NULL;
}

static uint64_t number_in(const char *line, size_t length, const char *name)
{
	const char *at = field(line, length, name, 1);
	uint64_t number = 0;

	for (; at && at < line + length && *at >= '0' && *at <= '9' && number < UINT64_MAX / 16;
	     at++)
		number = number * 10 + (uint64_t)(*at - '0');
	return number;
}

static unsigned long long llu(uint64_t number)
{
	return (unsigned long long)number;
}

static int missing(uint64_t from, uint64_t to, struct err *err)
{
	if (from == to)
		return err_set(err, EBADMSG, "line %llu is missing", llu(from));
	return err_set(err, EBADMSG, "lines %llu to %llu are missing", llu(from), llu(to));
}

/* --- one chain -------------------------------------------------------------------------------- */

/* The first line of a chain: of the log, or of the oldest file that rotation has kept. */
static void begin_chain(struct audit_chain_check *chain, const char *line,
			const struct parts *parts, char before[AUDIT_HASH + 1])
{
	static const char name[] = ",\"event\":\"continue\",\"previous\":\"";
	const char *previous = field(line, parts->hashed, name, AUDIT_HASH);

	chain->first = parts->sequence;
	memset(before, '0', AUDIT_HASH);
	chain->continued = previous != NULL;
	if (previous)
		memcpy(before, previous, AUDIT_HASH);
}

static int chain_next(struct audit_chain_check *chain, const char *line, const struct parts *parts,
		      struct err *err)
{
	char before[AUDIT_HASH + 1] = "", hash[AUDIT_HASH + 1];
	bool begins = chain->sequence == 0;

	if (begins)
		begin_chain(chain, line, parts, before);
	else
		memcpy(before, chain->hash, sizeof(before));
	audit_hash(before, line, parts->hashed, hash);
	if (memcmp(hash, parts->hash, AUDIT_HASH) != 0 && begins && parts->sequence > 2)
		return err_set(err, EBADMSG,
			       "the lines before line %llu are missing, or it was changed",
			       llu(parts->sequence));
	if (memcmp(hash, parts->hash, AUDIT_HASH) != 0)
		return err_set(err, EBADMSG, "line %llu was changed, or the one before it",
			       llu(parts->sequence));
	if (is_event(line, parts->hashed, ",\"event\":\"rotate\"") ||
	    is_event(line, parts->hashed, ",\"event\":\"continue\""))
		chain->oldest = number_in(line, parts->hashed, ",\"oldest\":");
	memcpy(chain->hash, hash, sizeof(hash));
	chain->sequence = parts->sequence;
	chain->closed = is_event(line, parts->hashed, ",\"event\":\"close\"") ||
			is_event(line, parts->hashed, ",\"event\":\"signature\"");
	return 0;
}

/* --- both ------------------------------------------------------------------------------------- */

/*
 * Lines may be missing for one reason: rotation has removed older files of a chain. Then that chain
 * begins with a line "continue" behind the missing ones. A hole that is found before one of the
 * chains has begun is kept until its first line explains it or not.
 */
static int check_hole(struct audit_check *check, enum audit_part part, uint64_t sequence,
		      bool continues, struct err *err)
{
	bool begins = check->chain[part].sequence == 0;

	if (check->sequence > 0 && sequence <= check->sequence)
		return err_set(err, EBADMSG, "line %llu comes after line %llu", llu(sequence),
			       llu(check->sequence));
	if (begins && !continues && check->hole)
		return missing(check->hole, check->hole_end, err);
	if (begins && continues) {
		check->hole = 0;
		return 0;
	}
	if (sequence == check->sequence + 1)
		return 0;
	if (check->chain[part ^ 1].sequence > 0)
		return missing(check->sequence + 1, sequence - 1, err);
	if (!check->hole)
		check->hole = check->sequence + 1;
	check->hole_end = sequence - 1;
	return 0;
}

/* Checks what the line says of the other chain, whose lines before this one have been read. */
static int check_other(struct audit_check *check, enum audit_part part, const char *line,
		       size_t hashed, struct err *err)
{
	const struct audit_chain_check *other = &check->chain[part ^ 1];
	const char *hash = field(line, hashed, ",\"other_hash\":\"", AUDIT_HASH);
	uint64_t sequence = number_in(line, hashed, ",\"other_seq\":");

	if (!hash)
		return 0;
	check->other[part ^ 1] = sequence;
	if (other->sequence == 0)
		return 0;
	if (other->sequence == sequence && memcmp(other->hash, hash, AUDIT_HASH) == 0)
		return 0;
	return err_set(err, EBADMSG, "line %llu has another %s for the other chain than that chain",
		       llu(check->chain[part].sequence),
		       other->sequence == sequence ? "hash" : "end");
}

/* A signature covers both chains up to its line. */
static void note_signature(struct audit_check *check, const char *line, const struct parts *parts)
{
	const char *text = field(line, parts->hashed, ",\"signature\":\"", 0), *end;
	unsigned i;

	if (!text || !is_event(line, parts->hashed, ",\"event\":\"signature\""))
		return;
	end = memchr(text, '"', (size_t)(line + parts->hashed - text));
	if (!end || (size_t)(end - text) >= sizeof(check->signature))
		return;
	memcpy(check->signature, text, (size_t)(end - text));
	check->signature[end - text] = '\0';
	check->signature_line = parts->sequence;
	for (i = 0; i < AUDIT_PARTS; i++) {
		check->head[i].sequence = check->chain[i].sequence;
		memcpy(check->head[i].hash, check->chain[i].hash, sizeof(check->head[i].hash));
	}
}

int audit_check_next(struct audit_check *check, enum audit_part part, const char *line,
		     size_t length, struct err *err)
{
	struct parts parts;
	int ret;

	if (take_apart(line, length, &parts) < 0)
		return err_set(err, EBADMSG, "after line %llu: not a line of an audit log",
			       llu(check->sequence));
	ret = check_hole(check, part, parts.sequence,
			 is_event(line, parts.hashed, ",\"event\":\"continue\""), err);
	if (ret == 0)
		note_signature(check, line, &parts);
	if (ret == 0)
		ret = chain_next(&check->chain[part], line, &parts, err);
	if (ret == 0)
		ret = check_other(check, part, line, parts.hashed, err);
	if (ret < 0)
		return ret;
	if (!check->first)
		check->first = parts.sequence;
	check->sequence = parts.sequence;
	return 0;
}

int audit_check_end(const struct audit_check *check, struct err *err)
{
	static const char *const name[] = {"allowed operations", "denials"};
	unsigned i;

	if (check->sequence == 0)
		return err_set(err, EBADMSG, "the log is empty");
	for (i = 0; i < AUDIT_PARTS; i++) {
		const struct audit_chain_check *chain = &check->chain[i];

		if (chain->sequence == 0 && (check->hole || check->other[i]))
			return err_set(err, EBADMSG, "the chain of %s is missing", name[i]);
		if (chain->continued && chain->oldest && chain->first > chain->oldest)
			return err_set(err, EBADMSG,
				       "the chain of %s lacks the lines before %llu; rotation "
				       "removed only those before %llu",
				       name[i], llu(chain->first), llu(chain->oldest));
	}
	return 0;
}
