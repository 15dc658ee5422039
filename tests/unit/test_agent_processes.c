/* SPDX-License-Identifier: Apache-2.0 */
/* The list of processes: the agent's reading of /proc, the frame, and the monitor's check of it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "guest-kernel/agent/processes.h"
#include "tests/unit/agent_channel_common.h"

/* --- the monitor's end ------------------------------------------------------------------------ */

struct outcome {
	unsigned count;
	int error;
	bool truncated;
	uint64_t now_us;
	unsigned processes;
	struct agent_process first;
	char text[AGENT_PROCESS_TEXT_MAX + 1];
};

static void outcome_done(void *arg, int error, struct agent_processes *list)
{
	struct outcome *outcome = arg;
	struct agent_process process;

	outcome->count++;
	outcome->error = error;
	ck_assert((error == 0) == (list != NULL));
	if (!list)
		return;
	outcome->truncated = list->truncated;
	outcome->now_us = list->now_us;
	while (agent_processes_next(list, &process)) {
		ck_assert_uint_le(process.length, AGENT_PROCESS_TEXT_MAX);
		if (outcome->processes++ > 0)
			continue;
		outcome->first = process;
		memcpy(outcome->text, process.text, process.length);
	}
}

/* A channel whose agent has the features, with one request for the list: number 1. */
static struct fake *with_list(struct outcome *outcome, uint32_t features)
{
	struct fake *fake = fake_create();

	*outcome = (struct outcome){.count = 0};
	put_hello(fake, AGENT_VERSION_MAJOR, AGENT_VERSION_MINOR);
	agent_put32(fake->in + AGENT_HEADER_SIZE + AGENT_HELLO_AT_FEATURES, features);
	ck_assert_int_eq(agent_channel_processes(fake->host.channel, outcome_done, outcome),
			 -ENOTCONN);
	agent_channel_readable(fake->host.channel);
	ck_assert_int_eq(agent_channel_processes(fake->host.channel, outcome_done, outcome),
			 features ? 0 : -EOPNOTSUPP);
	return fake;
}

static size_t put_process(uint8_t *to, uint32_t pid, const char *text, size_t length)
{
	memset(to, 0, AGENT_PROCESS_SIZE);
	agent_put32(to + AGENT_PROCESS_AT_PID, pid);
	agent_put32(to + AGENT_PROCESS_AT_PARENT, 1);
	agent_put32(to + AGENT_PROCESS_AT_UID, 1000);
	agent_put32(to + AGENT_PROCESS_AT_THREADS, 3);
	agent_put64(to + AGENT_PROCESS_AT_CPU_US, 5000000000u);
	agent_put64(to + AGENT_PROCESS_AT_RESIDENT_KIB, 4096);
	agent_put64(to + AGENT_PROCESS_AT_STARTED_US, 77);
	to[AGENT_PROCESS_AT_STATE] = 'R';
	agent_put16(to + AGENT_PROCESS_AT_LENGTH, (uint16_t)length);
	memcpy(to + AGENT_PROCESS_SIZE, text, length);
	return AGENT_PROCESS_SIZE + length;
}

/* A list of two processes. */
static uint32_t put_list(uint8_t payload[AGENT_PAYLOAD_MAX])
{
	size_t size = AGENT_LIST_SIZE;

	memset(payload, 0, size);
	agent_put32(payload + AGENT_LIST_AT_COUNT, 2);
	agent_put64(payload + AGENT_LIST_AT_NOW_US, 123456789);
	size += put_process(payload + size, 12, "a\xff\x1b", 3);
	size += put_process(payload + size, INT32_MAX, "", 0);
	return (uint32_t)size;
}

START_TEST(a_list_is_taken_apart)
{
	uint8_t payload[AGENT_PAYLOAD_MAX];
	struct outcome outcome;
	struct fake *fake = with_list(&outcome, AGENT_FEATURE_PROCESSES);
	uint32_t length = put_list(payload);

	put(fake, AGENT_PROCESS_LIST, 0, 1, payload, length);
	put(fake, AGENT_PROCESS_LIST, 0, 1, payload, length);  /* again: of no request */
	put(fake, AGENT_PROCESS_LIST, 0, 77, payload, length); /* of no request */
	agent_channel_readable(fake->host.channel);
	ck_assert_uint_eq(fake->host.lost, 0);
	ck_assert_uint_eq(outcome.count, 1);
	ck_assert_int_eq(outcome.error, 0);
	ck_assert(!outcome.truncated);
	ck_assert_uint_eq(outcome.now_us, 123456789);
	ck_assert_uint_eq(outcome.processes, 2);
	ck_assert_uint_eq(outcome.first.pid, 12);
	ck_assert_uint_eq(outcome.first.parent, 1);
	ck_assert_uint_eq(outcome.first.uid, 1000);
	ck_assert_uint_eq(outcome.first.threads, 3);
	ck_assert_uint_eq(outcome.first.cpu_us, 5000000000u);
	ck_assert_uint_eq(outcome.first.resident_kib, 4096);
	ck_assert_uint_eq(outcome.first.started_us, 77);
	ck_assert_int_eq(outcome.first.state, 'R');
	ck_assert(!outcome.first.is_name);
	ck_assert_str_eq(outcome.text, "a\xff\x1b");
	fake_destroy(fake);
}
END_TEST

START_TEST(a_request_for_the_list_may_fail)
{
	struct outcome outcome;
	struct fake *fake = with_list(&outcome, AGENT_FEATURE_PROCESSES);

	put32(fake, AGENT_RESULT, 1, EBUSY);
	agent_channel_readable(fake->host.channel);
	ck_assert_uint_eq(outcome.count, 1);
	ck_assert_int_eq(outcome.error, EBUSY);
	ck_assert_int_eq(agent_channel_processes(fake->host.channel, outcome_done, &outcome), 0);
	fake->in_end = true;
	agent_channel_readable(fake->host.channel);
	ck_assert_uint_eq(fake->host.lost, 1);
	ck_assert_uint_eq(outcome.count, 2);
	ck_assert_int_eq(outcome.error, AGENT_REPLY_LOST);
	fake_destroy(fake);
	/* an agent without the feature is sent nothing */
	fake = with_list(&outcome, 0);
	agent_channel_readable(fake->host.channel);
	ck_assert_uint_eq(outcome.count, 0);
	fake_destroy(fake);
}
END_TEST

/* One number of the list above that must not be. at: in the payload; bits 0: the length. */
static const struct {
	const char *what;
	uint32_t at, bits;
	uint64_t value;
} bad_lists[] = {
	{"unknown flag", AGENT_LIST_AT_FLAGS, 32, 2},
	{"fewer processes than there are", AGENT_LIST_AT_COUNT, 32, 1},
	{"more processes than there are", AGENT_LIST_AT_COUNT, 32, 3},
	{"too many processes", AGENT_LIST_AT_COUNT, 32, UINT32_MAX},
	{"now beyond the bound", AGENT_LIST_AT_NOW_US, 64, 1ull << 63},
	{"pid 0", AGENT_LIST_SIZE + AGENT_PROCESS_AT_PID, 32, 0},
	{"pid -1", AGENT_LIST_SIZE + AGENT_PROCESS_AT_PID, 32, UINT32_MAX},
	{"parent -1", AGENT_LIST_SIZE + AGENT_PROCESS_AT_PARENT, 32, UINT32_MAX},
	{"no uid", AGENT_LIST_SIZE + AGENT_PROCESS_AT_UID, 32, AGENT_SANDBOX_ID_MAX + 1},
	{"threads -1", AGENT_LIST_SIZE + AGENT_PROCESS_AT_THREADS, 32, UINT32_MAX},
	{"time -1", AGENT_LIST_SIZE + AGENT_PROCESS_AT_CPU_US, 64, UINT64_MAX},
	{"memory -1", AGENT_LIST_SIZE + AGENT_PROCESS_AT_RESIDENT_KIB, 64, UINT64_MAX},
	{"start -1", AGENT_LIST_SIZE + AGENT_PROCESS_AT_STARTED_US, 64, UINT64_MAX},
	{"no state", AGENT_LIST_SIZE + AGENT_PROCESS_AT_STATE, 8, 0},
	{"unknown state", AGENT_LIST_SIZE + AGENT_PROCESS_AT_STATE, 8, 0x1b},
	{"unknown flag of a process", AGENT_LIST_SIZE + AGENT_PROCESS_AT_FLAGS, 8, 2},
	{"text longer than its entry", AGENT_LIST_SIZE + AGENT_PROCESS_AT_LENGTH, 16, 4},
	{"text into the next entry", AGENT_LIST_SIZE + AGENT_PROCESS_AT_LENGTH, 16, 47},
	{"text beyond the bound", AGENT_LIST_SIZE + AGENT_PROCESS_AT_LENGTH, 16, 129},
	{"text beyond the frame", AGENT_LIST_SIZE + AGENT_PROCESS_AT_LENGTH, 16, 65535},
	{"a byte too few", 0, 0, AGENT_LIST_SIZE + 2 * AGENT_PROCESS_SIZE + 2},
	{"a byte too many", 0, 0, AGENT_LIST_SIZE + 2 * AGENT_PROCESS_SIZE + 4},
	{"an entry cut", 0, 0, AGENT_LIST_SIZE + 1},
	{"only the head", 0, 0, AGENT_LIST_SIZE},
	{"less than the head", 0, 0, AGENT_LIST_SIZE - 1},
};

static void put_number(uint8_t *to, unsigned bits, uint64_t value)
{
	for (; bits > 0; bits -= 8, value >>= 8)
		*to++ = (uint8_t)value;
}

START_TEST(a_malformed_list_ends_the_connection)
{
	uint8_t payload[AGENT_PAYLOAD_MAX] = {0};
	struct outcome outcome;
	struct fake *fake;
	uint32_t length;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad_lists); i++) {
		fake = with_list(&outcome, AGENT_FEATURE_PROCESSES);
		length = put_list(payload);
		put_number(payload + bad_lists[i].at, bad_lists[i].bits, bad_lists[i].value);
		if (bad_lists[i].bits == 0)
			length = (uint32_t)bad_lists[i].value;
		/* Also one that no request waits for is checked. */
		put(fake, AGENT_PROCESS_LIST, 0, 1 + (uint32_t)(i & 1), payload, length);
		agent_channel_readable(fake->host.channel);
		ck_assert_msg(fake->host.lost == 1, "%s: taken", bad_lists[i].what);
		ck_assert_uint_eq(outcome.count, 1);
		ck_assert_int_eq(outcome.error, AGENT_REPLY_LOST);
		fake_destroy(fake);
	}
}
END_TEST

START_TEST(replies_of_the_wrong_kind_end_the_connection)
{
	uint8_t payload[AGENT_PAYLOAD_MAX];
	struct outcome outcome;
	struct fake *fake = with_list(&outcome, AGENT_FEATURE_PROCESSES);

	put32(fake, AGENT_RESULT, 1, 0);
	agent_channel_readable(fake->host.channel);
	ck_assert_uint_eq(fake->host.lost, 1);
	ck_assert_int_eq(outcome.error, AGENT_REPLY_LOST);
	fake_destroy(fake);
	fake = with_list(&outcome, AGENT_FEATURE_PROCESSES);
	ck_assert_int_eq(agent_channel_ping(fake->host.channel, HOST_REPLY(&fake->host)), 0);
	put(fake, AGENT_PROCESS_LIST, 0, 2, payload, put_list(payload));
	agent_channel_readable(fake->host.channel);
	ck_assert_uint_eq(fake->host.lost, 1);
	ck_assert_int_eq(fake->host.reply, AGENT_REPLY_LOST);
	fake_destroy(fake);
}
END_TEST

/* --- the agent's end -------------------------------------------------------------------------- */

static char top[] = "/tmp/cordon-proc.XXXXXX";
static struct process_list list;
static struct link link_out;
static uint64_t budget_us = UINT64_MAX;

static void set_up(void)
{
	ck_assert_ptr_nonnull(mkdtemp(top));
}

static void tear_down(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", top);
	ck_assert_int_eq(system(command), 0);
}

static void put_file(const char *directory, const char *name, const char *text, size_t length)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", top, directory);
	mkdir(path, 0755);
	snprintf(path, sizeof(path), "%s/%s/%s", top, directory, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, length), length);
	close(fd);
}

static void put_stat(const char *directory, const char *text)
{
	put_file(directory, "stat", text, strlen(text));
}

static void collect(const char *path, uint32_t base)
{
	int proc = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ck_assert_int_ge(proc, 0);
	memset(&list, 0, sizeof(list));
	processes_collect(&list, proc, base, budget_us);
	close(proc);
}

static const struct listed *find(uint32_t pid)
{
	uint32_t i;

	for (i = 0; i < list.count; i++)
		if (list.process[i].pid == pid)
			return &list.process[i];
	return NULL;
}

static bool has_text(const struct listed *listed, const char *text)
{
	return listed && listed->length == strlen(text) &&
	       memcmp(listed->text, text, listed->length) == 0;
}

START_TEST(this_process_is_in_the_list_of_the_host)
{
	char text[AGENT_PROCESS_TEXT_MAX + 1] = "";
	const struct listed *own;
	struct stat threads;
	int fd;

	prctl(PR_SET_NAME, "a) S (b\x1b");
	collect("/proc", (uint32_t)geteuid());
	own = find((uint32_t)getpid());
	ck_assert_ptr_nonnull(own);
	ck_assert_uint_eq(own->parent, (uint32_t)getppid());
	ck_assert_uint_eq(own->uid, 0);
	ck_assert_int_eq(own->state, 'R');
	/* a directory each, "." and ".."; TSan has a thread of its own */
	ck_assert(!stat("/proc/self/task", &threads) && own->threads + 2 == threads.st_nlink);
	ck_assert_uint_gt(own->resident_kib, 100);
	ck_assert_uint_gt(own->started_us, 0);
	ck_assert_uint_le(own->started_us, list.now_us);
	ck_assert_uint_eq(own->flags, 0);
	fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	ck_assert_int_gt(read(fd, text, sizeof(text) - 1), 0);
	close(fd);
	ck_assert_uint_gt(own->length, 0);
	ck_assert_mem_eq(own->text, text, min_u64(own->length, strlen(text)));
	/* another user's are none of the sandbox's */
	collect("/proc", (uint32_t)geteuid() + 1);
	ck_assert_ptr_null(find((uint32_t)getpid()));
}
END_TEST

#define STAT_TAIL " S 4 5 6 0 -1 4194304 1 0 0 0 250 50 0 0 20 0 3 0 700 4096 25 1 0 0 0 0"

START_TEST(names_cannot_mislead_the_parser)
{
	set_up();
	put_stat("12", "12 (x) R 1 (y)" STAT_TAIL);
	put_file("12", "cmdline", "a\0b c\0\0", 7);
	put_stat("13", "13 ()" STAT_TAIL);
	put_file("13", "cmdline", "", 0);
	put_stat("14", "14 (\n\x1b[2J\xff)" STAT_TAIL);
	put_stat("15", "15 (cut");
	put_stat("16", "16 (x) ");
	put_stat("17", "17 (x) ? 1");
	put_stat("18", "18 (x) R");
	put_file("19", "other", "", 0);
	put_stat("0", "0 (x)" STAT_TAIL);
	put_stat("20x", "20 (x)" STAT_TAIL);
	put_stat("4294967308", "12 (x)" STAT_TAIL);
	collect(top, (uint32_t)geteuid());
	ck_assert_uint_eq(list.count, 4);
	ck_assert(list.whole);
	ck_assert(has_text(find(12), "a b c"));
	ck_assert_uint_eq(find(12)->flags, 0);
	ck_assert_uint_eq(find(12)->parent, 4);
	ck_assert_uint_eq(find(12)->cpu_us, 3000000);
	ck_assert_uint_eq(find(12)->threads, 3);
	ck_assert_uint_eq(find(12)->started_us, 7000000);
	ck_assert_uint_eq(find(12)->resident_kib, 100);
	ck_assert(has_text(find(13), ""));
	ck_assert_uint_eq(find(13)->flags, AGENT_PROCESS_NAME);
	ck_assert(has_text(find(14), "\n\x1b[2J\xff"));
	ck_assert_ptr_nonnull(find(18));
	tear_down();
}
END_TEST

START_TEST(a_list_is_bounded_and_says_so)
{
	static char command[AGENT_PROCESS_TEXT_MAX + 100];
	char name[16], stat[256];
	unsigned i;

	set_up();
	memset(command, 'c', sizeof(command));
	for (i = 1; i <= AGENT_PROCESSES_MAX + 1; i++) {
		snprintf(name, sizeof(name), "%u", i);
		snprintf(stat, sizeof(stat), "%u (x)" STAT_TAIL, i);
		put_stat(name, stat);
		put_file(name, "cmdline", command, sizeof(command));
	}
	collect(top, (uint32_t)geteuid());
	ck_assert_uint_eq(list.count, AGENT_PROCESSES_MAX);
	ck_assert(!list.whole);
	for (i = 0; i < list.count; i++)
		ck_assert_uint_eq(list.process[i].length, AGENT_PROCESS_TEXT_MAX);
	/* without time for all */
	budget_us = 0;
	collect(top, (uint32_t)geteuid());
	ck_assert_uint_ge(list.count, 8);
	ck_assert_uint_lt(list.count, AGENT_PROCESSES_MAX);
	ck_assert(!list.whole);
	tear_down();
}
END_TEST

/* What the agent sends, the monitor takes. */
static void pass_on(struct outcome *outcome)
{
	struct fake *fake = with_list(outcome, AGENT_FEATURE_PROCESSES);

	link_out.out_head = link_out.out_used = 0;
	processes_send(&link_out, 1, &list);
	ck_assert_uint_le(link_out.out_used, AGENT_FRAME_MAX);
	memcpy(fake->in + fake->in_length, link_out.out, link_out.out_used);
	fake->in_length += link_out.out_used;
	agent_channel_readable(fake->host.channel);
	ck_assert_uint_eq(fake->host.lost, 0);
	ck_assert_uint_eq(outcome->count, 1);
	ck_assert_int_eq(outcome->error, 0);
	fake_destroy(fake);
}

START_TEST(every_list_of_the_agent_is_well_formed)
{
	struct outcome outcome;
	uint32_t i;

	memset(&list, 0, sizeof(list));
	list.whole = true;
	pass_on(&outcome);
	ck_assert_uint_eq(outcome.processes, 0);
	ck_assert(!outcome.truncated);
	/* its child was killed before the first */
	list.whole = false;
	pass_on(&outcome);
	ck_assert(outcome.truncated);
	collect("/proc", (uint32_t)geteuid());
	pass_on(&outcome);
	ck_assert_uint_eq(outcome.processes, list.count);
	list.count = AGENT_PROCESSES_MAX;
	list.whole = true;
	for (i = 0; i < list.count; i++) {
		list.process[i] = (struct listed){.pid = i + 1, .state = 'S'};
		list.process[i].length = AGENT_PROCESS_TEXT_MAX;
	}
	/* all of the longest do not fit into a frame */
	pass_on(&outcome);
	ck_assert(outcome.truncated);
	ck_assert_uint_eq(outcome.processes, (AGENT_PAYLOAD_MAX - AGENT_LIST_SIZE) /
						     (AGENT_PROCESS_SIZE + AGENT_PROCESS_TEXT_MAX));
	for (i = 0; i < list.count; i++)
		list.process[i].length = 80;
	pass_on(&outcome);
	ck_assert(!outcome.truncated);
	ck_assert_uint_eq(outcome.processes, AGENT_PROCESSES_MAX);
}
END_TEST

UNIT_MAIN("agent_processes", a_list_is_taken_apart, a_request_for_the_list_may_fail,
	  a_malformed_list_ends_the_connection, replies_of_the_wrong_kind_end_the_connection,
	  this_process_is_in_the_list_of_the_host, names_cannot_mislead_the_parser,
	  a_list_is_bounded_and_says_so, every_list_of_the_agent_is_well_formed)
