/* SPDX-License-Identifier: Apache-2.0 */
/* cordon doctor: the verb and its two outputs. The checks are in doctor_kvm.c and doctor_host.c. */
#include "vmm/cli/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/text.h"
#include "vmm/cli/verb.h"
#include "vmm/cli/print.h"

#define NAME_WIDTH 14
#define LINE_WIDTH 100
#define INDENT	   (5 + 1 + NAME_WIDTH + 1) /* of a check's further lines */

static const char *verdict_name(enum doctor_verdict verdict)
{
	static const char *const names[] = {"ok", "note", "FAIL", "skip"};

	return names[verdict];
}

struct doctor_check *doctor_add(struct doctor *doctor, const char *name,
				enum doctor_verdict verdict)
{
	/* The array has room for all checks; one too many would overwrite the last. */
	unsigned at = doctor->count < DOCTOR_CHECKS_MAX ? doctor->count++ : DOCTOR_CHECKS_MAX - 1;

	doctor->check[at] = (struct doctor_check){.name = name, .verdict = verdict};
	return &doctor->check[at];
}

void doctor_text(char text[512], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, 512, fmt, ap);
	va_end(ap);
}

bool doctor_read(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : fd_read_full(fd, text, size - 1);

	fd_close(&fd);
	text[length > 0 ? length : 0] = '\0';
	if (length > 0 && text[length - 1] == '\n')
		text[length - 1] = '\0';
	return length > 0;
}

/* Whether a sandbox can run. */
static bool healthy(const struct doctor *doctor)
{
	unsigned i;

	for (i = 0; i < doctor->count; i++)
		if (doctor->check[i].verdict == DOCTOR_FAIL)
			return false;
	return true;
}

/* One check: what was found, and what to change, in lines of at most LINE_WIDTH bytes. */
static void print_check(const struct doctor_check *check)
{
	char text[1100], *at = text, *end;
	size_t length;

	snprintf(text, sizeof(text), "%s%s%s", check->found, check->advice[0] ? "; fix: " : "",
		 check->advice);
	for (;;) {
		length = strlen(at);
		end = at + length;
		if (length > LINE_WIDTH - INDENT) {
			/* A word that is longer than a line, such as a path, stays whole. */
			end = memrchr(at, ' ', LINE_WIDTH - INDENT + 1);
			end = end ? end : at + strcspn(at, " ");
		}
		length = (size_t)(end - at);
		if (at == text)
			text_line(stdout, "%-5s %-*s %.*s", verdict_name(check->verdict),
				  NAME_WIDTH, check->name, (int)length, at);
		else
			text_line(stdout, "%*s%.*s", INDENT, "", (int)length, at);
		if (!*end)
			return;
		at = end + 1;
	}
}

static void print_lines(const struct doctor *doctor)
{
	unsigned i;

	for (i = 0; i < doctor->count; i++)
		print_check(&doctor->check[i]);
	puts(healthy(doctor) ? "a sandbox can run here" : "no sandbox can run here");
}

static json_t *json_checks(const struct doctor *doctor)
{
	json_t *list = json_array();
	unsigned i;

	for (i = 0; i < doctor->count; i++) {
		const struct doctor_check *check = &doctor->check[i];

		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:s, s:s}", "name", check->name,
						"verdict", verdict_name(check->verdict), "found",
						check->found, "advice", check->advice));
	}
	return list;
}

static json_t *json_capabilities(const struct doctor *doctor)
{
	json_t *list = json_array();
	unsigned i;

	for (i = 0; i < doctor->host.capabilities; i++) {
		const struct host_capability *cap = &doctor->host.capability[i];

		json_array_append_new(
			list, json_pack("{s:s, s:s, s:b, s:i, s:b}", "name", cap->name, "purpose",
					cap->purpose, "required", (int)cap->required, "value",
					cap->value, "there", (int)(cap->value >= cap->minimum)));
	}
	return list;
}

static int print_report(const struct doctor *doctor)
{
	json_t *root, *timings = json_array();
	unsigned i;

	for (i = 0; i < DOCTOR_TIMINGS && doctor->create_vm_ns[i]; i++)
		json_array_append_new(timings, json_integer((json_int_t)doctor->create_vm_ns[i]));
	root = json_pack("{s:s, s:b, s:s, s:i, s:o, s:o, s:o}", "version", CORDON_VERSION,
			 "healthy", (int)healthy(doctor), "host", host_kind_name(doctor->host.kind),
			 "api_version", doctor->host.api_version, "create_vm_ns", timings,
			 "capabilities", json_capabilities(doctor), "checks", json_checks(doctor));
	if (!root)
		return -1;
	print_json(root, JSON_INDENT(2));
	json_decref(root);
	return 0;
}

struct doctor_options {
	bool json;
};

static const struct option_entry entries[] = {
	{"json", 0, OPTION_FLAG, NULL, "print one JSON object",
	 .offset = offsetof(struct doctor_options, json)},
};

static const struct option_table table = {"Options", entries, ARRAY_SIZE(entries)};

static int run(int argc, char **argv, struct err *err)
{
	static struct doctor doctor;
	struct doctor_options options = {.json = false};
	const struct option_set set = {&table, &options};
	static const struct verb_words words = {.verb = &verb_doctor};
	int ret = verb_words(&words, &set, 1, argc, argv, err);

	if (ret < 0)
		return ret;
	doctor_check_kvm(&doctor);
	doctor_check_memory(&doctor);
	doctor_check_network(&doctor);
	doctor_check_monitor(&doctor);
	doctor_check_relay(&doctor);
	doctor_check_cores(&doctor);
	doctor_check_guest(&doctor);
	doctor_check_planted(&doctor);
	if (!options.json)
		print_lines(&doctor);
	else if (print_report(&doctor) < 0)
		return err_set(err, ENOMEM, "out of memory");
	return healthy(&doctor) ? 0 : 1;
}

static const struct option_table *const tables[] = {&table, NULL};

const struct verb verb_doctor = {
	.name = "doctor",
	.group = VERB_HOST,
	.usage = "[--json]",
	.summary = "check what this host can do, and say what to change",
	.description =
		"Prints for each check its verdict, what was found, and what to change; `--json` "
		"also has the times and capabilities that were found.",
	.options = tables,
	.exit_status = "0 if a sandbox can run here, 1 if none can, 125 for wrong arguments.",
	.run = run,
};
