/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The audit log: which lines are written, and what they say; opening and closing both chains.
 * audit_budget.h bounds the number of lines, audit_line.h formats a line, and audit_chain.h chains
 * the lines and writes them to files.
 */
#include "vmm/policy/audit.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/log.h"
#include "vmm/base/loop.h"
#include "vmm/policy/audit_budget.h"
#include "vmm/policy/audit_chain_files.h"
#include "vmm/policy/audit_sign.h"
#include "vmm/policy/hidden.h"

struct audit {
	pthread_mutex_t mutex;
	char path[PATH_MAX];
	struct audit_config config;
	struct audit_chain chain[AUDIT_PARTS];
	uint64_t sequence; /* of the last line of both */
	struct audit_meter meter[AUDIT_KINDS];
	uint64_t refused;	    /* operations denied because their line was left out */
	uint64_t lost[AUDIT_PARTS]; /* lines that could not be written */
	uint64_t written;	    /* bytes, since begin_line() */
	uint64_t policy; /* the policy whose decisions are logged; see audit_policy_set() */
	struct audit_line line;
	struct hidden_names hidden;
};

const char *audit_path(const struct audit *audit)
{
	return audit->path;
}

/* --- writing lines ---------------------------------------------------------------------------- */

/* Writes audit->line. */
static int write_line(struct audit *audit, enum audit_part part)
{
	int ret = audit_chain_write(&audit->chain[part], &audit->line, audit->sequence + 1);

	if (ret < 0)
		return ret;
	audit->sequence++;
	audit->written += audit->line.length;
	return 0;
}

static void begin_event(struct audit *audit, enum audit_part part, const char *event)
{
	audit_chain_event(&audit->chain[part ^ 1], &audit->line, audit->sequence + 1, event);
}

/* A "gap" line before the next line counts what was left out. */
static int write_gap(struct audit *audit, enum audit_part part)
{
	uint64_t *allowed = &audit->meter[AUDIT_KIND_ALLOWED].left_out;
	uint64_t *denied = &audit->meter[AUDIT_KIND_DENIED].left_out;
	uint64_t *hidden = &audit->meter[AUDIT_KIND_HIDDEN].left_out;
	uint64_t *processes = &audit->meter[AUDIT_KIND_PROCESS].left_out;
	bool of_allowed = part == AUDIT_ALLOWED;
	int ret;

	if (audit->lost[part] == 0 &&
	    (of_allowed ? *allowed == 0 && *processes == 0 && audit->refused == 0
			: *denied == 0 && *hidden == 0))
		return 0;
	audit_line_begin(&audit->line, audit->sequence + 1);
	audit_line_string(&audit->line, "event", "gap");
	audit_line_number(&audit->line, of_allowed ? "allowed" : "denied",
			  of_allowed ? *allowed : *denied);
	audit_line_number(&audit->line, of_allowed ? "refused" : "hidden",
			  of_allowed ? audit->refused : *hidden);
	if (of_allowed && *processes)
		audit_line_number(&audit->line, "processes", *processes);
	audit_line_number(&audit->line, "lost", audit->lost[part]);
	ret = write_line(audit, part);
	if (ret < 0)
		return ret;
	audit->lost[part] = 0;
	if (of_allowed)
		*allowed = *processes = audit->refused = 0;
	else
		*denied = *hidden = 0;
	return 0;
}

static int make_room(struct audit *audit, enum audit_part part)
{
	return audit_chain_room(&audit->chain[part], &audit->chain[part ^ 1], &audit->line,
				&audit->sequence);
}

/* Begins a line. 0; -EAGAIN: no budget, the line is left out; or another -errno. */
static int begin_line(struct audit *audit, enum audit_part part, unsigned kind)
{
	int ret;

	audit->written = 0;
	if (kind != AUDIT_NO_BUDGET &&
	    !audit_meter_has_budget(&audit->meter[kind], audit->config.now()))
		return -EAGAIN;
	ret = make_room(audit, part);
	if (ret == 0)
		ret = write_gap(audit, part);
	audit_line_begin(&audit->line, audit->sequence + 1);
	return ret;
}

/* Ends and writes a line. required: an allowed operation is denied if this fails. */
static int end_line(struct audit *audit, enum audit_part part, unsigned kind, bool required,
		    int ret)
{
	if (ret == 0)
		ret = write_line(audit, part);
	if (kind != AUDIT_NO_BUDGET)
		bucket_take(&audit->meter[kind].bucket, audit->written);
	if (ret == -EAGAIN && required && kind == AUDIT_KIND_ALLOWED)
		audit->refused++;
	else if (ret == -EAGAIN && kind != AUDIT_NO_BUDGET)
		audit->meter[kind].left_out++;
	else if (ret < 0)
		audit->lost[part]++;
	/* A denial stands, logged or only counted. */
	return ret == -EAGAIN && kind != AUDIT_KIND_ALLOWED ? 0 : ret;
}

static int log_decision(struct audit *audit, unsigned kind, const struct policy_request *request,
			const struct policy_decision *decision, const struct audit_origin *origin)
{
	enum audit_part part = kind == AUDIT_KIND_ALLOWED ? AUDIT_ALLOWED : AUDIT_DENIALS;
	int ret = -ESTALE;

	pthread_mutex_lock(&audit->mutex);
	if (origin->policy == AUDIT_ANY_POLICY || origin->policy == audit->policy) {
		ret = begin_line(audit, part, kind);
		if (ret == 0)
			audit_line_decision(&audit->line, request, decision, origin->file);
		ret = end_line(audit, part, kind, origin->required, ret);
	}
	pthread_mutex_unlock(&audit->mutex);
	return ret;
}

int audit_decision(struct audit *audit, const struct policy_request *request,
		   const struct policy_decision *decision, const struct audit_origin *origin)
{
	bool allowed = decision->verdict == POLICY_ALLOW;

	return log_decision(audit, allowed ? AUDIT_KIND_ALLOWED : AUDIT_KIND_DENIED, request,
			    decision, origin);
}

static int log_note(struct audit *audit, const struct guard_note *note, bool required)
{
	unsigned kind;
	enum audit_part part = audit_note_part(note->what, &kind);
	int ret;

	ret = begin_line(audit, part, kind);
	if (ret == 0)
		audit_line_note(&audit->line, note);
	return end_line(audit, part, kind, required, ret);
}

int audit_note(struct audit *audit, const struct guard_note *note, bool required)
{
	int ret;

	pthread_mutex_lock(&audit->mutex);
	ret = log_note(audit, note, required);
	pthread_mutex_unlock(&audit->mutex);
	return ret;
}

int audit_policy_set(struct audit *audit, const struct guard_note *note, uint64_t policy)
{
	int ret;

	pthread_mutex_lock(&audit->mutex);
	audit->policy = policy;
	ret = log_note(audit, note, false);
	pthread_mutex_unlock(&audit->mutex);
	return ret;
}

void audit_hidden(struct audit *audit, const struct policy_request *request,
		  const struct policy_decision *decision, const struct audit_origin *origin)
{
	unsigned place;

	/* The policy has just been replaced: not logged now, so log it the next time. */
	if (!hidden_is_known(&audit->hidden, request->object, request->length, audit->config.now(),
			     &place) &&
	    log_decision(audit, AUDIT_KIND_HIDDEN, request, decision, origin) == -ESTALE)
		hidden_forget(&audit->hidden, place);
}

/* --- opening and closing ---------------------------------------------------------------------- */

static void set_config(struct audit *audit, const struct audit_config *config)
{
	struct audit_config *own = &audit->config;
	unsigned i;

	*own = *config;
	if (!own->file_bytes)
		own->file_bytes = AUDIT_FILE_BYTES;
	if (!own->files || own->files > AUDIT_FILES_MAX)
		own->files = AUDIT_FILES;
	if (!own->now)
		own->now = loop_now_ns;
	for (i = 0; i < AUDIT_KINDS; i++)
		audit_meter_init(&audit->meter[i], (enum audit_kind)i, &own->budget[i], own->now());
	for (i = 0; i < AUDIT_PARTS; i++) {
		audit->chain[i].base = audit->path;
		audit->chain[i].directory = config->directory;
		audit->chain[i].part = (enum audit_part)i;
		audit->chain[i].files = own->files;
		audit->chain[i].file_bytes = own->file_bytes;
		audit->chain[i].fd = -1;
	}
}

/*
 * A log has both chains. Its very first line is in the chain of allowed operations: a monitor that
 * was killed right after it has left only that chain.
 */
static int check_pair(struct audit *audit, struct err *err)
{
	struct audit_chain *allowed = &audit->chain[AUDIT_ALLOWED];
	struct audit_chain *denials = &audit->chain[AUDIT_DENIALS];
	const struct audit_chain *here = allowed->sequence ? allowed : denials;
	const struct audit_chain *missing = allowed->sequence ? denials : allowed;

	if ((allowed->sequence == 0) == (denials->sequence == 0) || here->sequence == 1)
		return 0;
	/* Remove the file that open has created: it would look like an empty log. */
	audit_chain_unlink(missing, missing->path);
	return err_set(
		err, EINVAL,
		"audit log: %s exists, but %s, which belongs to it, is missing: give another file, "
		"or move it out of the way",
		here->path, missing->path);
}

static int write_open(struct audit *audit, enum audit_part part)
{
	make_room(audit, part);
	begin_event(audit, part, "open");
	audit_line_string(&audit->line, "cordon", CORDON_VERSION);
	if (audit->chain[part].torn)
		audit_line_number(&audit->line, "torn", audit->chain[part].torn);
	return write_line(audit, part);
}

static int open_chains(struct audit *audit, struct err *err)
{
	unsigned i;
	int ret = 0;

	for (i = 0; ret == 0 && i < AUDIT_PARTS; i++) {
		ret = audit_chain_open(&audit->chain[i], err);
		audit->sequence = max_u64(audit->sequence, audit->chain[i].sequence);
	}
	if (ret == 0)
		ret = check_pair(audit, err);
	for (i = 0; ret == 0 && i < AUDIT_PARTS; i++) {
		ret = write_open(audit, (enum audit_part)i);
		if (ret < 0)
			err_code(err, -ret, "audit log %s", audit->chain[i].path);
	}
	return ret;
}

static void free_audit(struct audit *audit)
{
	unsigned i;

	audit_key_free(audit->config.key);
	for (i = 0; i < AUDIT_PARTS; i++)
		fd_close(&audit->chain[i].fd);
	pthread_mutex_destroy(&audit->mutex);
	free(audit);
}

int audit_open(struct audit **audit, const struct audit_config *config, struct err *err)
{
	struct audit *made = calloc(1, sizeof(*made));
	int ret;

	*audit = NULL;
	if (!made) {
		audit_key_free(config->key);
		return err_set(err, ENOMEM, "out of memory");
	}
	pthread_mutex_init(&made->mutex, NULL);
	snprintf(made->path, sizeof(made->path), "%s", config->path);
	set_config(made, config);
	hidden_begin(&made->hidden, made->config.now());
	made->config.path = made->path;
	if (config->key)
		audit_key_lock(config->key);
	ret = open_chains(made, err);
	if (ret < 0)
		free_audit(made);
	else
		*audit = made;
	return ret;
}

/* Writes the last line: a signature over the heads of both chains. Returns whether it could. */
static bool write_signature(struct audit *audit)
{
	char signature[SSH_SIGNATURE_SIZE], fingerprint[SSH_FINGERPRINT_SIZE];
	struct audit_head head[AUDIT_PARTS];
	unsigned i;

	for (i = 0; i < AUDIT_PARTS; i++) {
		head[i].sequence = audit->chain[i].sequence;
		memcpy(head[i].hash, audit->chain[i].hash, sizeof(head[i].hash));
	}
	audit_sign(audit->config.key, head, signature);
	ssh_fingerprint(audit->config.key->secret.public, fingerprint);
	audit_line_begin(&audit->line, audit->sequence + 1);
	audit_line_string(&audit->line, "event", "signature");
	audit_line_string(&audit->line, "key", fingerprint);
	audit_line_string(&audit->line, "signature", signature);
	return write_line(audit, AUDIT_DENIALS) == 0;
}

/* Writes the last lines of a chain. Returns whether it could. */
static bool close_part(struct audit *audit, enum audit_part part)
{
	bool whole = write_gap(audit, part) == 0;

	begin_event(audit, part, "close");
	return write_line(audit, part) == 0 && whole;
}

/* A log whose last lines could not be written is not signed. */
void audit_close(struct audit *audit)
{
	bool whole;
	int i;

	if (!audit)
		return;
	whole = close_part(audit, AUDIT_ALLOWED);
	whole = close_part(audit, AUDIT_DENIALS) && whole;
	if (audit->config.key && !(whole && write_signature(audit)))
		log_warning("audit log %s: not signed: its last lines could not be written",
			    audit->path);
	for (i = 0; i < AUDIT_PARTS && !audit->config.brief; i++)
		fsync(audit->chain[i].fd);
	free_audit(audit);
}
