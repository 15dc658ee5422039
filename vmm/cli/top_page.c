/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/top_page.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/cli/fields.h"
#include "vmm/base/bytes.h"
#include "vmm/base/text.h"
#include "vmm/base/utf8.h"

/* Rows of these where their number is not limited. */
#define ROWS_UNLIMITED 10
/* What a section takes besides its rows: an empty line and a title. */
#define SECTION_ROWS 2
#define RULE_COLUMNS 28

/* --- lines ------------------------------------------------------------------------------------ */

struct page {
	FILE *to;
	struct top_size size;
	unsigned lines, column;
};

static bool is_full(const struct page *page)
{
	return page->size.rows > 0 && page->lines >= page->size.rows;
}

static void end_line(struct page *page)
{
	if (!is_full(page))
		putc('\n', page->to);
	page->lines++;
	page->column = 0;
}

/* Adds harmless text to the line, as far as it fits. */
static void put_columns(struct page *page, const char *text, size_t length)
{
	size_t at, taken;
	unsigned width;

	for (at = 0; at < length; at += taken) {
		taken = utf8_length(text + at, length - at);
		if (taken == 0)
			return;
		width = taken == 1 ? 1 : 2;
		if (page->size.columns > 0 && page->column + width > page->size.columns)
			page->column = page->size.columns; /* nothing fits after a gap */
		if (page->size.columns > 0 && page->column >= page->size.columns)
			return;
		page->column += width;
		fwrite(text + at, 1, taken, page->to);
	}
}

static void put_text(struct page *page, const char *text)
{
	size_t length = strlen(text);
	char *safe = is_full(page) ? NULL : malloc(TEXT_ROOM(length));

	if (!safe)
		return;
	put_columns(page, safe, text_safe(safe, TEXT_ROOM(length), text, length, 0));
	free(safe);
}

static void __attribute__((format(printf, 2, 3))) put(struct page *page, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	put_text(page, text);
}

/* --- values ----------------------------------------------------------------------------------- */

#define WORD 32

static const char *age_text(char text[WORD], const json_t *seconds)
{
	long long age = (long long)json_integer_value(seconds);

	if (!seconds)
		return "-";
	if (age < 60)
		snprintf(text, WORD, "%llds", age < 0 ? 0 : age);
	else if (age < 3600)
		snprintf(text, WORD, "%lldm%02llds", age / 60, age % 60);
	else if (age < 86400)
		snprintf(text, WORD, "%lldh%02lldm", age / 3600, age / 60 % 60);
	else
		snprintf(text, WORD, "%lldd%02lldh", age / 86400, age / 3600 % 24);
	return text;
}

static const char *size_text(char text[WORD], const json_t *bytes)
{
	static const char units[] = "BKMGTPE";
	double size = (double)json_integer_value(bytes);
	unsigned unit = 0;

	if (!bytes)
		return "-";
	for (; size >= 1000 && units[unit + 1]; unit++)
		size /= 1024;
	snprintf(text, WORD, unit > 0 && size < 99.95 ? "%.1f%c" : "%.0f%c", size, units[unit]);
	return text;
}

static const char *kib_text(char text[WORD], const json_t *kib)
{
	json_t *bytes = kib ? json_integer(json_integer_value(kib) <= INT64_MAX >> 10
						   ? json_integer_value(kib) << 10
						   : INT64_MAX)
			    : NULL;
	const char *made = size_text(text, bytes);

	json_decref(bytes);
	return made;
}

static const char *percent_text(char text[WORD], const json_t *percent)
{
	if (!json_is_number(percent))
		return "-";
	snprintf(text, WORD, "%.1f", json_number_value(percent));
	return text;
}

/* Minutes, seconds and hundredths, as in top. */
static const char *cpu_text(char text[WORD], const json_t *us)
{
	unsigned long long hundredths = (unsigned long long)json_integer_value(us) / 10000;

	snprintf(text, WORD, "%llu:%02llu.%02llu", hundredths / 6000, hundredths / 100 % 60,
		 hundredths % 100);
	return text;
}

/* The time of day of a line of the log, "2026-11-29T11:47:49...". */
static const char *clock_text(char text[WORD], const json_t *line)
{
	const char *time = cell_in(line, "time");

	snprintf(text, WORD, "%.8s", strlen(time) >= 19 ? time + 11 : "-");
	return text;
}

/* --- one sandbox ------------------------------------------------------------------------------ */

static void put_summary(struct page *page, const json_t *data)
{
	char age[WORD], cpu[WORD], used[WORD], limit[WORD];
	const json_t *processes = json_object_get(data, "processes");

	put(page, "%s  %s  up %s  cpu %s%% of %lld", cell_in(data, "name"), cell_in(data, "state"),
	    age_text(age, json_object_get(data, "age")),
	    percent_text(cpu, json_object_get(data, "cpu_percent")), number_in(data, "cpus"));
	put(page, "  memory %s of %s  jobs %lld",
	    kib_text(used, json_object_get(data, "private_kib")),
	    size_text(limit, json_object_get(data, "memory")), number_in(data, "jobs"));
	if (processes)
		put(page, "  processes %zu%s", json_array_size(processes),
		    json_is_true(json_object_get(data, "processes_truncated")) ? "+" : "");
	if (json_object_get(data, "net_flows"))
		put(page, "  flows %lld", number_in(data, "net_flows"));
	if (number_in(data, "net_questions_open") > 0)
		put(page, "  questions %lld", number_in(data, "net_questions_open"));
	if (number_in(data, "net_refused") > 0)
		put(page, "  refused %lld", number_in(data, "net_refused"));
	if (number_in(data, "net_flooded") > 0)
		put(page, "  beyond rates %lld", number_in(data, "net_flooded"));
	end_line(page);
}

static void process_title(struct page *page)
{
	put(page, "%7s %7s %5s %s %6s %9s %7s  %s", "PID", "PARENT", "UID", "S", "CPU%", "TIME",
	    "MEMORY", "COMMAND");
}

static void process_row(struct page *page, const json_t *process)
{
	char percent[WORD], cpu[WORD], memory[WORD];
	bool is_name = json_is_true(json_object_get(process, "is_name"));

	put(page, "%7lld %7lld %5lld %.1s %6s %9s %7s  %s", number_in(process, "pid"),
	    number_in(process, "parent"), number_in(process, "uid"), cell_in(process, "state"),
	    percent_text(percent, json_object_get(process, "cpu_percent")),
	    cpu_text(cpu, json_object_get(process, "cpu_us")),
	    kib_text(memory, json_object_get(process, "resident_kib")), is_name ? "[" : "");
	put_text(page, cell_in(process, "command"));
	put_text(page, is_name ? "]" : "");
}

/* The end of it: the number of the line matters more than the path. */
static const char *rule_of(const json_t *json)
{
	const char *rule = cell_in(json, "rule");
	size_t length = strlen(rule);

	return length > RULE_COLUMNS ? rule + length - RULE_COLUMNS : rule;
}

static void denial_title(struct page *page)
{
	put(page, "%-8s %-4s %-10s %5s %-*s %s", "DENIED", "", "", "TIMES", RULE_COLUMNS, "RULE",
	    "OBJECT");
}

static void denial_row(struct page *page, const json_t *line)
{
	const char *object = json_string_value(json_object_get(line, "object"));
	const char *other = json_string_value(json_object_get(line, "other"));
	char clock[WORD];

	put(page, "%s %-4.4s %-10.10s %5lld %-*s ", clock_text(clock, line), cell_in(line, "class"),
	    cell_in(line, "op"), number_in(line, "count"), RULE_COLUMNS, rule_of(line));
	if (!object) {
		put(page, "%.8s %.64s:%lld ", cell_in(line, "protocol"), cell_in(line, "address"),
		    number_in(line, "port"));
		put_text(page, cell_in(line, "name"));
		return;
	}
	put_text(page, object);
	if (other)
		put_text(page, " -> ");
	put_text(page, other ? other : "");
}

static void flow_title(struct page *page)
{
	put(page, "%-4s %-3s %-21s %8s %8s %7s %-*s %s", "FLOW", "", "ADDRESS", "SENT", "RECEIVED",
	    "AGE", RULE_COLUMNS, "RULE", "NAME");
}

static void flow_row(struct page *page, const json_t *flow)
{
	json_t *seconds = json_integer(number_in(flow, "age_ms") / 1000);
	char peer[64], sent[WORD], got[WORD], age[WORD];

	snprintf(peer, sizeof(peer), "%.48s:%lld", cell_in(flow, "address"),
		 number_in(flow, "port"));
	put(page, "%-4.4s %-3.3s %-21s %8s %8s %7s %-*s ", cell_in(flow, "protocol"),
	    cell_in(flow, "direction"), peer, size_text(sent, json_object_get(flow, "bytes_out")),
	    size_text(got, json_object_get(flow, "bytes_in")), age_text(age, seconds), RULE_COLUMNS,
	    rule_of(flow));
	put_text(page, cell_in(flow, "name"));
	json_decref(seconds);
}

static void file_title(struct page *page)
{
	put(page, "%-8s %-10s %s", "TOUCHED", "", "FILE");
}

static void file_row(struct page *page, const json_t *line)
{
	const char *other = json_string_value(json_object_get(line, "other"));
	char clock[WORD];

	put(page, "%s %-10.10s ", clock_text(clock, line), cell_in(line, "op"));
	put_text(page, cell_in(line, "object"));
	if (other)
		put_text(page, " -> ");
	put_text(page, other ? other : "");
}

static const struct section {
	const char *name, *error; /* in the data; error: why the rows are old or missing, or NULL */
	unsigned unlimited;	  /* rows where their number is not limited */
	void (*title)(struct page *page);
	void (*row)(struct page *page, const json_t *item);
} sections[] = {
	{"processes", "processes_error", UINT32_MAX, process_title, process_row},
	{"denials", NULL, ROWS_UNLIMITED, denial_title, denial_row},
	{"flows", NULL, UINT32_MAX, flow_title, flow_row},
	{"files", NULL, ROWS_UNLIMITED, file_title, file_row},
};

#define SECTIONS ARRAY_SIZE(sections)

static unsigned rows_wanted(const json_t *data, const struct section *section)
{
	size_t rows = json_array_size(json_object_get(data, section->name));

	if (section->error && json_object_get(data, section->error))
		rows++;
	return (unsigned)min_u64(rows, section->unlimited);
}

/* How many rows each section gets of those left. */
static void share_rows(const json_t *data, unsigned left, unsigned rows[SECTIONS])
{
	unsigned wanted[SECTIONS], shown = 0, i, more, fair;

	for (i = 0; i < SECTIONS; i++) {
		rows[i] = 0;
		wanted[i] = rows_wanted(data, &sections[i]);
		if (wanted[i] > 0 && left <= SECTION_ROWS)
			wanted[i] = 0;
		if (wanted[i] == 0)
			continue;
		/* One row is spoken for with the title, so that no title stands alone. */
		left -= SECTION_ROWS + 1;
		rows[i] = 1;
		shown++;
	}
	fair = shown > 0 ? left / shown : 0;
	for (i = 0; i < SECTIONS; i++) {
		more = (unsigned)min_u64(wanted[i] - rows[i], fair);
		rows[i] += more;
		left -= more;
	}
	for (i = 0; i < SECTIONS; i++) {
		more = (unsigned)min_u64(wanted[i] - rows[i], left);
		rows[i] += more;
		left -= more;
	}
}

static void put_section(struct page *page, const json_t *data, const struct section *section,
			unsigned rows)
{
	const json_t *list = json_object_get(data, section->name);
	const json_t *error = section->error ? json_object_get(data, section->error) : NULL;
	unsigned i;

	if (rows == 0)
		return;
	end_line(page);
	section->title(page);
	end_line(page);
	if (error) {
		put_text(page, json_string_value(error) ? json_string_value(error) : "?");
		end_line(page);
		rows--;
	}
	for (i = 0; i < rows; i++) {
		section->row(page, json_array_get(list, i));
		end_line(page);
	}
}

static void put_sandbox(struct page *page, const json_t *data)
{
	unsigned left = page->size.rows > 0 ? page->size.rows - 1 : INT32_MAX, i;
	unsigned rows[SECTIONS];

	put_summary(page, data);
	share_rows(data, left, rows);
	for (i = 0; i < SECTIONS; i++)
		put_section(page, data, &sections[i], rows[i]);
}

/* --- all sandboxes ---------------------------------------------------------------------------- */

static void put_list(struct page *page, const json_t *list)
{
	char cpu[WORD], used[WORD], limit[WORD], age[WORD];
	const json_t *item;
	size_t i;

	put(page, "%-24s %-8s %6s %8s %8s %5s %5s %5s %8s %8s", "NAME", "STATE", "CPU%", "MEMORY",
	    "LIMIT", "CPUS", "JOBS", "FLOWS", "AGE", "PID");
	end_line(page);
	for (i = 0; i < json_array_size(list); i++) {
		item = json_array_get(list, i);
		put(page, "%-24s %-8s %6s %8s %8s %5lld %5lld %5lld %8s %8lld",
		    cell_in(item, "name"), cell_in(item, "state"),
		    percent_text(cpu, json_object_get(item, "cpu_percent")),
		    kib_text(used, json_object_get(item, "private_kib")),
		    size_text(limit, json_object_get(item, "memory")), number_in(item, "cpus"),
		    number_in(item, "jobs"), number_in(item, "net_flows"),
		    age_text(age, json_object_get(item, "age")), number_in(item, "pid"));
		end_line(page);
	}
}

char *top_page(const json_t *data, struct top_size size)
{
	const json_t *list = json_object_get(data, "sandboxes");
	struct page page = {.size = size};
	char *text = NULL;
	size_t length;

	page.to = open_memstream(&text, &length);
	if (!page.to)
		return NULL;
	if (list)
		put_list(&page, list);
	else
		put_sandbox(&page, data);
	if (fclose(page.to) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
