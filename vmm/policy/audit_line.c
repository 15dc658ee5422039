/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/policy/audit_line.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "vmm/base/utf8.h"
#include "vmm/policy/audit_hash.h"

/* Strings of the guest are cut, so that two paths, as text and in hexadecimal, fit in a line. */
#define EXECUTABLE_MAX 256
#define DETAIL_MAX     512

static void put(struct audit_line *line, const char *bytes, size_t length)
{
	/* Always leave room for the end of the line. */
	if (line->full || length > sizeof(line->text) - 128 - line->length) {
		line->full = true;
		return;
	}
	memcpy(line->text + line->length, bytes, length);
	line->length += length;
}

static void put_text(struct audit_line *line, const char *text)
{
	put(line, text, strlen(text));
}

static void put_name(struct audit_line *line, const char *name)
{
	put_text(line, ",\"");
	put_text(line, name);
	put_text(line, "\":");
}

void audit_line_begin(struct audit_line *line, uint64_t sequence)
{
	struct timespec now;
	struct tm parts;
	char text[96];

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &parts);
	line->length = 0;
	line->full = false;
	snprintf(text, sizeof(text),
		 "{\"seq\":%llu,\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%06ldZ\"",
		 (unsigned long long)sequence, parts.tm_year + 1900, parts.tm_mon + 1,
		 parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, now.tv_nsec / 1000);
	put_text(line, text);
}

void audit_line_string(struct audit_line *line, const char *name, const char *value)
{
	put_name(line, name);
	put_text(line, "\"");
	put_text(line, value);
	put_text(line, "\"");
}

void audit_line_number(struct audit_line *line, const char *name, uint64_t value)
{
	char text[24];

	put_name(line, name);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	put_text(line, text);
}

static void put_hex(struct audit_line *line, const char *bytes, size_t length)
{
	static const char digits[] = "0123456789abcdef";
	size_t i;

	for (i = 0; i < length; i++) {
		const char pair[2] = {digits[(uint8_t)bytes[i] >> 4],
				      digits[(uint8_t)bytes[i] & 15]};

		put(line, pair, 2);
	}
}

/* Escapes the next character for JSON and terminals. Returns its length; step: input bytes used. */
static size_t escape(const char *bytes, size_t length, char escaped[8], size_t *step)
{
	size_t whole = utf8_length(bytes, length);

	*step = whole ? whole : 1;
	if (whole == 0) {
		memcpy(escaped, "\xef\xbf\xbd", 3);
		return 3;
	}
	if (*bytes == '"' || *bytes == '\\') {
		escaped[0] = '\\';
		escaped[1] = *bytes;
		return 2;
	}
	if (whole == 1 && ((uint8_t)*bytes < ' ' || *bytes == 0x7f))
		return (size_t)snprintf(escaped, 8, "\\u%04x", (uint8_t)*bytes);
	memcpy(escaped, bytes, whole);
	return whole;
}

void audit_line_bytes(struct audit_line *line, const char *name, const char *bytes, size_t length)
{
	size_t at, step, part, used = 0;
	bool inexact = false;
	char escaped[8], bytes_name[48];

	put_name(line, name);
	put_text(line, "\"");
	for (at = 0; at < length; at += step) {
		part = escape(bytes + at, length - at, escaped, &step);
		inexact |= part == 3 && step == 1;
		used += part;
		if (used > AUDIT_TEXT_MAX) {
			inexact = true;
			break;
		}
		put(line, escaped, part);
	}
	put_text(line, "\"");
	if (!inexact)
		return;
	snprintf(bytes_name, sizeof(bytes_name), "%s_bytes", name);
	put_name(line, bytes_name);
	put_text(line, "\"");
	put_hex(line, bytes, length);
	put_text(line, "\"");
}

static void put_subject(struct audit_line *line, const struct policy_subject *subject)
{
	const char *executable;

	if (!subject)
		return;
	/* "claimed": the guest says so. */
	audit_line_number(line, "claimed_pid", subject->pid);
	audit_line_number(line, "claimed_uid", subject->uid);
	executable = subject->executable;
	if (executable)
		audit_line_bytes(line, "claimed_exe", executable,
				 strnlen(executable, EXECUTABLE_MAX));
}

static void put_net(struct audit_line *line, const struct policy_net *net)
{
	char address[INET6_ADDRSTRLEN];

	audit_line_string(line, "protocol", policy_protocol_name(net->protocol));
	if (net->host)
		audit_line_string(line, "name", "host");
	/* The name in the first bytes of a flow to the host is only the guest's claim. */
	if (net->name)
		audit_line_bytes(line, net->host ? "claimed_name" : "name", net->name,
				 strnlen(net->name, 255));
	if (net->family && inet_ntop((int)net->family, net->address, address, sizeof(address)))
		audit_line_string(line, "address", address);
	if (net->port)
		audit_line_number(line, "port", net->port);
	if (!net->method)
		return;
	audit_line_bytes(line, "method", net->method, strlen(net->method));
	audit_line_bytes(line, "path", net->path ? net->path : "",
			 net->path ? strnlen(net->path, POLICY_OBJECT_MAX) : 0);
	if (net->unclear)
		audit_line_number(line, "unclear", 1);
}

void audit_line_decision(struct audit_line *line, const struct policy_request *request,
			 const struct policy_decision *decision, const char *file)
{
	char rule[DETAIL_MAX + 16];

	audit_line_string(line, "class", policy_class_name(request->class));
	audit_line_string(line, "op", policy_op_name(request->op));
	if (request->class == POLICY_NET)
		put_net(line, &request->net);
	else if (request->object)
		audit_line_bytes(line, "object", request->object,
				 request->length < POLICY_OBJECT_MAX ? request->length
								     : POLICY_OBJECT_MAX);
	if (request->other)
		audit_line_bytes(line, "other", request->other,
				 request->other_length < POLICY_OBJECT_MAX ? request->other_length
									   : POLICY_OBJECT_MAX);
	if (request->directory)
		audit_line_string(line, "type", "folder");
	if (request->rootfs)
		audit_line_string(line, "in", "rootfs");
	audit_line_string(line, "verdict", policy_verdict_name(decision->verdict));
	if (decision->line) {
		snprintf(rule, sizeof(rule), "%.*s:%u", DETAIL_MAX, file ? file : "",
			 decision->line);
		audit_line_bytes(line, "rule", rule, strlen(rule));
	} else {
		audit_line_string(line, "rule", file ? file : "default");
	}
	audit_line_string(line, "where", policy_enforced_by_name(decision->enforced_by));
	audit_line_string(line, "reason", decision->reason);
	put_subject(line, request->subject);
}

void audit_line_note(struct audit_line *line, const struct guard_note *note)
{
	audit_line_string(line, "event", note->what);
	if (policy_class_name(note->class))
		audit_line_string(line, "class", policy_class_name(note->class));
	if (note->object)
		audit_line_bytes(line, "object", note->object,
				 strnlen(note->object, POLICY_OBJECT_MAX));
	if (note->detail)
		audit_line_bytes(line, "detail", note->detail, strnlen(note->detail, DETAIL_MAX));
	put_subject(line, note->subject);
}

void audit_line_end(struct audit_line *line, char hash[AUDIT_HASH + 1])
{
	int more;

	audit_hash(hash, line->text, line->length, hash);
	more = snprintf(line->text + line->length, sizeof(line->text) - line->length,
			",\"hash\":\"%s\"}\n", hash);
	line->length += (size_t)more;
}
