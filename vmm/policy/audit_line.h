/* SPDX-License-Identifier: Apache-2.0 */
/* The text of an audit line: what the guest says goes in escaped and bounded. */
#ifndef CORDON_POLICY_AUDIT_LINE_H
#define CORDON_POLICY_AUDIT_LINE_H

#include <stdarg.h>

#include "vmm/policy/audit.h"

struct audit_line {
	char text[AUDIT_LINE_MAX];
	size_t length;
	bool full; /* something did not fit: the line is not to be used */
};

/* {"seq":N,"time":"..." */
void audit_line_begin(struct audit_line *line, uint64_t sequence);

/* ,"name":"value" with a value that needs no escapes */
void audit_line_string(struct audit_line *line, const char *name, const char *value);
void audit_line_number(struct audit_line *line, const char *name, uint64_t value);

/*
 * ,"name":"value" for any bytes, of which the value is at most AUDIT_TEXT_MAX bytes with its
 * escapes. Where they are not UTF-8, what is wrong becomes U+FFFD; where that is so or the value is
 * cut, "name_bytes" has all of it in hexadecimal. So a name costs at most four times its length and
 * the bound, whatever its bytes are.
 */
#define AUDIT_TEXT_MAX 4096
void audit_line_bytes(struct audit_line *line, const char *name, const char *bytes, size_t length);

/* What each line begins with. */
#define AUDIT_HEAD "{\"seq\":"

/* The number in a line's beginning; 0: it is no line of an audit log. */
#define AUDIT_HEAD_MAX 32
uint64_t audit_head_sequence(const char *line, size_t length);

void audit_line_decision(struct audit_line *line, const struct policy_request *request,
			 const struct policy_decision *decision, const char *file);
void audit_line_note(struct audit_line *line, const struct guard_note *note);

/* ,"hash":"..."} and a newline. hash: of the line before; it becomes that of this one. */
void audit_line_end(struct audit_line *line, char hash[AUDIT_HASH + 1]);

/* The hash of length bytes of a line, up to its "hash", after a line that had the hash before. */
void audit_hash(const char before[AUDIT_HASH + 1], const char *text, size_t length,
		char after[AUDIT_HASH + 1]);

#endif
