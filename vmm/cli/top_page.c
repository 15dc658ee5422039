/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/top_page.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/cli/fields.h"

/* Rows of these where their number is not limited. */
#define ROWS_UNLIMITED 10
/* What a section takes besides its rows: an empty line and a title. */
#define SECTION_ROWS 2
#define RULE_COLUMNS 28

/* The time of day of a line of the log, "2026-11-29T11:47:49...". */
static const char *clock_text(char text[PAGE_WORD], const json_t *line)
{
	const char *time = cell_in(line, "time");

	snprintf(text, PAGE_WORD, "%.8s", strlen(time) >= 19 ? time + 11 : "-");
	return text;
}

/* --- one sandbox ------------------------------------------------------------------------------ */

void top_page_summary(struct page *page, const json_t *data)
{
	char age[PAGE_WORD], cpu[PAGE_WORD], used[PAGE_WORD], limit[PAGE_WORD], share[PAGE_WORD];
	const json_t *processes = json_object_get(data, "processes");
	const json_t *percent = json_object_get(data, "memory_percent");

	page_put(page, "%s  %s  up %s  cpu %s%% of %lld", cell_in(data, "name"),
		 cell_in(data, "state"), page_age_text(age, json_object_get(data, "age")),
		 page_percent_text(cpu, json_object_get(data, "cpu_percent")),
		 number_in(data, "cpus"));
	page_put(page, "  memory %s of %s",
		 page_kib_text(used, json_object_get(data, "private_kib")),
		 page_size_text(limit, json_object_get(data, "memory")));
	if (percent)
		page_put(page, " (%s%%)", page_percent_text(share, percent));
	page_put(page, "  jobs %lld", number_in(data, "jobs"));
	if (processes)
		page_put(page, "  processes %zu%s", json_array_size(processes),
			 json_is_true(json_object_get(data, "processes_truncated")) ? "+" : "");
	if (json_object_get(data, "net_flows"))
		page_put(page, "  flows %lld", number_in(data, "net_flows"));
	if (number_in(data, "net_questions_open") > 0)
		page_put(page, "  questions %lld", number_in(data, "net_questions_open"));
	if (number_in(data, "net_refused") > 0)
		page_put(page, "  refused %lld", number_in(data, "net_refused"));
	if (number_in(data, "net_flooded") > 0)
		page_put(page, "  beyond rates %lld", number_in(data, "net_flooded"));
	page_end_line(page);
}

static void process_title(struct page *page)
{
	page_put(page, "%7s %7s %5s %s %6s %9s %7s  %s", "PID", "PARENT", "UID", "S", "CPU%",
		 "TIME", "MEMORY", "COMMAND");
}

static void process_row(struct page *page, const json_t *process)
{
	char percent[PAGE_WORD], cpu[PAGE_WORD], memory[PAGE_WORD];
	bool is_name = json_is_true(json_object_get(process, "is_name"));

	page_put(page, "%7lld %7lld %5lld %.1s %6s %9s %7s  %s", number_in(process, "pid"),
		 number_in(process, "parent"), number_in(process, "uid"), cell_in(process, "state"),
		 page_percent_text(percent, json_object_get(process, "cpu_percent")),
		 page_cpu_text(cpu, json_object_get(process, "cpu_us")),
		 page_kib_text(memory, json_object_get(process, "resident_kib")),
		 is_name ? "[" : "");
	page_text(page, cell_in(process, "command"));
	page_text(page, is_name ? "]" : "");
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
	page_put(page, "%-8s %-4s %-10s %5s %-*s %s", "DENIED", "", "", "TIMES", RULE_COLUMNS,
		 "RULE", "OBJECT");
}

static void denial_row(struct page *page, const json_t *line)
{
	const char *object = json_string_value(json_object_get(line, "object"));
	const char *other = json_string_value(json_object_get(line, "other"));
	char clock[PAGE_WORD];

	page_put(page, "%s %-4.4s %-10.10s %5lld %-*s ", clock_text(clock, line),
		 cell_in(line, "class"), cell_in(line, "op"), number_in(line, "count"),
		 RULE_COLUMNS, rule_of(line));
	if (!object) {
		page_put(page, "%.8s %.64s:%lld ", cell_in(line, "protocol"),
			 cell_in(line, "address"), number_in(line, "port"));
		page_text(page, cell_in(line, "name"));
		return;
	}
	page_text(page, object);
	if (other)
		page_text(page, " -> ");
	page_text(page, other ? other : "");
}

static void flow_title(struct page *page)
{
	page_put(page, "%-4s %-3s %-21s %8s %8s %7s %-*s %s", "FLOW", "", "ADDRESS", "SENT",
		 "RECEIVED", "AGE", RULE_COLUMNS, "RULE", "NAME");
}

static void flow_row(struct page *page, const json_t *flow)
{
	json_t *seconds = json_integer(number_in(flow, "age_ms") / 1000);
	char peer[64], sent[PAGE_WORD], got[PAGE_WORD], age[PAGE_WORD];

	snprintf(peer, sizeof(peer), "%.48s:%lld", cell_in(flow, "address"),
		 number_in(flow, "port"));
	page_put(page, "%-4.4s %-3.3s %-21s %8s %8s %7s %-*s ", cell_in(flow, "protocol"),
		 cell_in(flow, "direction"), peer,
		 page_size_text(sent, json_object_get(flow, "bytes_out")),
		 page_size_text(got, json_object_get(flow, "bytes_in")),
		 page_age_text(age, seconds), RULE_COLUMNS, rule_of(flow));
	page_text(page, cell_in(flow, "name"));
	json_decref(seconds);
}

static void file_title(struct page *page)
{
	page_put(page, "%-8s %-10s %s", "TOUCHED", "", "FILE");
}

static void file_row(struct page *page, const json_t *line)
{
	const char *other = json_string_value(json_object_get(line, "other"));
	char clock[PAGE_WORD];

	page_put(page, "%s %-10.10s ", clock_text(clock, line), cell_in(line, "op"));
	page_text(page, cell_in(line, "object"));
	if (other)
		page_text(page, " -> ");
	page_text(page, other ? other : "");
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
	page_end_line(page);
	section->title(page);
	page_end_line(page);
	if (error) {
		page_text(page, json_string_value(error) ? json_string_value(error) : "?");
		page_end_line(page);
		rows--;
	}
	for (i = 0; i < rows; i++) {
		section->row(page, json_array_get(list, i));
		page_end_line(page);
	}
}

static void put_sandbox(struct page *page, const json_t *data)
{
	unsigned left = page->size.rows > 0 ? page->size.rows - 1 : INT32_MAX, i;
	unsigned rows[SECTIONS];

	top_page_summary(page, data);
	share_rows(data, left, rows);
	for (i = 0; i < SECTIONS; i++)
		put_section(page, data, &sections[i], rows[i]);
}

/* --- all sandboxes ---------------------------------------------------------------------------- */

static void put_list(struct page *page, const json_t *list)
{
	char cpu[PAGE_WORD], used[PAGE_WORD], limit[PAGE_WORD], age[PAGE_WORD], share[PAGE_WORD];
	const json_t *item;
	size_t i;

	page_put(page, "%-24s %-8s %6s %8s %8s %6s %5s %5s %5s %8s %8s", "NAME", "STATE", "CPU%",
		 "MEMORY", "LIMIT", "MEM%", "CPUS", "JOBS", "FLOWS", "AGE", "PID");
	page_end_line(page);
	for (i = 0; i < json_array_size(list); i++) {
		item = json_array_get(list, i);
		page_put(page, "%-24s %-8s %6s %8s %8s %6s %5lld %5lld %5lld %8s %8lld",
			 cell_in(item, "name"), cell_in(item, "state"),
			 page_percent_text(cpu, json_object_get(item, "cpu_percent")),
			 page_kib_text(used, json_object_get(item, "private_kib")),
			 page_size_text(limit, json_object_get(item, "memory")),
			 page_percent_text(share, json_object_get(item, "memory_percent")),
			 number_in(item, "cpus"), number_in(item, "jobs"),
			 number_in(item, "net_flows"),
			 page_age_text(age, json_object_get(item, "age")), number_in(item, "pid"));
		page_end_line(page);
	}
}

static void put_page(struct page *page, const json_t *data)
{
	const json_t *list = json_object_get(data, "sandboxes");

	if (list)
		put_list(page, list);
	else
		put_sandbox(page, data);
}

char *top_page(const json_t *data, struct top_size size)
{
	return page_make(put_page, data, size);
}
