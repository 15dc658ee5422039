/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/audit_log.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/support/unit.h"

char audit_directory[64], audit_log_path[96];
uint64_t audit_clock_ns;

static uint64_t fake_now(void)
{
	return audit_clock_ns;
}

void audit_log_begin(void)
{
	strcpy(audit_directory, "/tmp/cordon-audit-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(audit_directory));
	snprintf(audit_log_path, sizeof(audit_log_path), "%s/audit.log", audit_directory);
	audit_clock_ns = 1;
}

void audit_log_end(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", audit_directory);
	ck_assert_int_eq(system(command), 0);
}

struct audit *audit_log_open(struct audit_config config)
{
	struct audit *audit;
	struct err err;

	config.path = audit_log_path;
	config.now = fake_now;
	ck_assert_msg(audit_open(&audit, &config, &err) == 0, "%s", err.text);
	return audit;
}

int audit_log_path_read(struct audit *audit, const char *object, size_t length,
			enum policy_verdict verdict)
{
	static const struct policy_subject subject = {
		.pid = 7, .uid = 1000, .executable = "/bin/\"x"};
	const struct policy_request request = {
		.class = POLICY_FILE,
		.op = POLICY_READ,
		.object = object,
		.length = length,
		.subject = &subject,
	};
	const struct policy_decision decision = {
		.verdict = verdict,
		.line = 3,
		.reason = "because",
	};

	const struct audit_origin origin = {.file = "p", .policy = AUDIT_ANY_POLICY};

	return audit_decision(audit, &request, &decision, &origin);
}

/* --- the check -------------------------------------------------------------------------------- */

struct reader {
	FILE *file;
	unsigned number; /* of the file */
	char *line;
	size_t room;
	ssize_t length; /* 0: none read, -1: there are no more */
};

/* No other process writes to the files meanwhile. */
static void read_line(struct reader *reader, enum audit_part part)
{
	char path[AUDIT_PATH_MAX];

	while (reader->length == 0) {
		if (reader->file)
			reader->length = getline(&reader->line, &reader->room, reader->file);
		if (reader->file && reader->length > 0)
			return;
		if (reader->file)
			fclose(reader->file);
		reader->file = NULL;
		reader->length = reader->number == 0 ? -1 : 0;
		if (reader->number > 0) {
			audit_file(path, audit_log_path, part, --reader->number);
			reader->file = fopen(path, "r");
		}
	}
}

int audit_log_check(struct audit_check *check, const char *text, unsigned *found, struct err *err)
{
	struct reader reader[AUDIT_PARTS] = {{.number = AUDIT_FILES_MAX},
					     {.number = AUDIT_FILES_MAX}};
	uint64_t sequence[AUDIT_PARTS];
	unsigned i, next;
	int ret = 0;

	memset(check, 0, sizeof(*check));
	*found = 0;
	while (ret == 0) {
		for (i = 0; i < AUDIT_PARTS; i++) {
			read_line(&reader[i], (enum audit_part)i);
			sequence[i] = reader[i].length < 0
					      ? UINT64_MAX
					      : audit_line_sequence(reader[i].line,
								    (size_t)reader[i].length - 1);
		}
		next = sequence[AUDIT_DENIALS] < sequence[AUDIT_ALLOWED];
		if (reader[next].length < 0)
			break;
		*found += strstr(reader[next].line, text) != NULL;
		ret = audit_check_next(check, (enum audit_part)next, reader[next].line,
				       (size_t)reader[next].length - 1, err);
		if (ret == 0) {
			json_t *json = json_loadb(reader[next].line, (size_t)reader[next].length,
						  JSON_REJECT_DUPLICATES, NULL);

			ck_assert_msg(json_is_object(json), "%s", reader[next].line);
			json_decref(json);
		}
		reader[next].length = 0;
	}
	for (i = 0; i < AUDIT_PARTS; i++) {
		if (reader[i].file)
			fclose(reader[i].file);
		free(reader[i].line);
	}
	return ret < 0 ? ret : audit_check_end(check, err);
}

unsigned audit_log_lines(const char *text)
{
	struct audit_check check;
	struct err err = {""};
	unsigned found = 0;

	ck_assert_msg(audit_log_check(&check, text, &found, &err) == 0, "%s", err.text);
	return found;
}

void audit_log_edit(const char *script, enum audit_part part, unsigned number)
{
	char command[512], path[AUDIT_PATH_MAX];

	audit_file(path, audit_log_path, part, number);
	snprintf(command, sizeof(command), "sed -i '%s' %.200s", script, path);
	ck_assert_int_eq(system(command), 0);
}
