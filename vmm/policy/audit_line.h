/* SPDX-License-Identifier: Apache-2.0 */
/* The text of an audit line. Strings of the guest are escaped and bounded. */
#ifndef CORDON_POLICY_AUDIT_LINE_H
#define CORDON_POLICY_AUDIT_LINE_H

#include <stdarg.h>

#include "vmm/policy/audit.h"

struct audit_line {
	char text[AUDIT_LINE_MAX];
	size_t length;
	bool full; /* something did not fit: the line must not be used */
};

/* {"seq":N,"time":"..." */
void audit_line_begin(struct audit_line *line, uint64_t sequence);

/* ,"name":"value" for a value that needs no escapes */
void audit_line_string(struct audit_line *line, const char *name, const char *value);
void audit_line_number(struct audit_line *line, const char *name, uint64_t value);

/*
 * ,"name":"value" for any bytes. The value is cut at AUDIT_TEXT_MAX bytes including escapes, and
 * bytes that are not UTF-8 become U+FFFD; in both cases "name_bytes" has all bytes in hexadecimal.
 * So the field takes at most four times the length and the bound, whatever the bytes are.
 */
#define AUDIT_TEXT_MAX 4096
void audit_line_bytes(struct audit_line *line, const char *name, const char *bytes, size_t length);

/* The beginning of each line. */
#define AUDIT_HEAD "{\"seq\":"

/* The number at the beginning of a line; 0: it is not a line of an audit log. */
#define AUDIT_HEAD_MAX 32
uint64_t audit_head_sequence(const char *line, size_t length);

void audit_line_decision(struct audit_line *line, const struct policy_request *request,
			 const struct policy_decision *decision, const char *file);
void audit_line_note(struct audit_line *line, const struct guard_note *note);

/* ,"hash":"..."} and a newline. hash: of the line before, replaced by that of this one. */
void audit_line_end(struct audit_line *line, char hash[AUDIT_HASH + 1]);

#endif
