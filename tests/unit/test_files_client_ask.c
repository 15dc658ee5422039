/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of the file server's process that wait for an operator, who is the owner here. */
#include "tests/unit/files_client_common.h"

#define RULES                         \
	"file ask-read  /w/secret*\n" \
	"file ask-write /w/asked*\n"  \
	"file write /w/**\n"
#define READABLE "file write /w/**\n"
#define DENIED	 "file deny /w/secret*\nfile write /w/**\n"

/* What the operator was asked. */
static struct {
	unsigned asked, withdrawn, slot;
	enum policy_op op;
	char object[64], other[64];
	int decides; /* at once: enum policy_verdict; -1: later */
} operator;

static void on_asked(void *arg, unsigned slot, const struct policy_request *request)
{
	(void)arg;
	operator.asked++;
	operator.slot = slot;
	operator.op = request->op;
	snprintf(operator.object, sizeof(operator.object), "%.*s", (int)request->length,
		 request->object);
	snprintf(operator.other, sizeof(operator.other), "%.*s", (int)request->other_length,
		 request->other ? request->other : "");
	if (operator.decides >= 0)
		files_client_decide(files, slot, (enum policy_verdict) operator.decides);
	loop_stop(loop);
}

static void on_withdrawn(void *arg, unsigned slot)
{
	(void)arg;
	(void)slot;
	operator.withdrawn++;
	loop_stop(loop);
}

static void begin_asked(void)
{
	struct files_client_ops ops = told_ops;
	static struct files_client_ops kept;
	struct files_client_config config = {.ops = &kept};
	struct err err = {""};

	memset(&operator, 0, sizeof(operator));
	operator.decides = - 1;
	begin_host(RULES, false);
	host_write(&host, "secret", "hello");
	host_write(&host, "asked", "hello");
	host_write(&host, "other", "hello");
	ops.asked = on_asked;
	ops.withdrawn = on_withdrawn;
	kept = ops;
	config.guard = host.guard;
	ck_assert_msg(files_client_create(&files, loop, &config, &err) == 0, "%s", err.text);
	ck_assert_int_eq(files_client_add(files, 0, &host.share, FUSED_STRICT), 0);
	files_client_begin(files);
	greet();
}

/* Sends OPEN, and leaves it to the loop. */
static unsigned post_open(uint64_t node, uint32_t flags, uint64_t unique)
{
	struct {
		struct fuse_in_header head;
		struct fuse_open_in in;
	} message = {
		.head = {.len = sizeof(message),
			 .opcode = FUSE_OPEN,
			 .unique = unique,
			 .nodeid = node,
			 .pid = 1},
		.in = {.flags = flags},
	};
	unsigned slot = post(&message, sizeof(message), 4096);
	const void *reply;
	size_t length;

	told.done[slot] = false;
	if (files_client_wait(files, slot, 0, &reply, &length))
		told.done[slot] = true;
	return slot;
}

static void interrupt(uint64_t unique)
{
	struct {
		struct fuse_in_header head;
		struct fuse_interrupt_in in;
	} message = {
		.head = {.len = sizeof(message), .opcode = FUSE_INTERRUPT, .unique = unique + 1},
		.in = {.unique = unique},
	};
	char none[16];

	ck_assert_int_eq(finish(post(&message, sizeof(message), 0), none, sizeof(none)), 0);
}

/* Runs the loop until the request is done: its error, and the open file. */
static int end_open(unsigned slot, struct fuse_open_out *open)
{
	struct fuse_out_header out;
	const void *reply;
	size_t length;
	unsigned i;

	for (i = 0; i < 2000 && !(told.done[slot]); i++)
		run(5);
	ck_assert(told.done[slot]);
	files_client_reply(files, slot, &reply, &length);
	ck_assert_uint_ge(length, sizeof(out));
	memcpy(&out, reply, sizeof(out));
	if (out.error == 0)
		memcpy(open, (const char *)reply + sizeof(out), sizeof(*open));
	files_client_release(files, slot);
	return -out.error;
}

static void wait_until_asked(unsigned slot, unsigned times)
{
	unsigned i;

	for (i = 0; i < 2000 && (operator.asked<times || !files_client_waits(files, slot)); i++)
		run(5);
	ck_assert_uint_eq(operator.asked, times);
	ck_assert(files_client_waits(files, slot));
}

START_TEST(a_request_waits_for_the_operator)
{
	struct fuse_open_out open;
	unsigned slot;
	uint64_t node;
	char text[16];
	size_t n;

	begin_asked();
	node = node_of("secret");
	slot = post_open(node, O_RDONLY, 1000);
	wait_until_asked(slot, 1);
	ck_assert_int_eq(operator.op, POLICY_READ);
	ck_assert_str_eq(operator.object, "/w/secret");
	/* Others go on. */
	ck_assert_int_eq(fc_mkdir(client, ROOT, "d", 0755), 0);
	files_client_decide(files, operator.slot, POLICY_ALLOW);
	ck_assert_int_eq(end_open(slot, &open), 0);
	ck_assert_int_eq(fc_read(client, node, open.fh, 0, 5, text, &n), 0);
	ck_assert_uint_eq(n, 5);
	/* It was about that open alone; and what is denied in any case is not asked. */
	slot = post_open(node, O_RDONLY, 1002);
	wait_until_asked(slot, 2);
	files_client_decide(files, operator.slot, POLICY_DENY);
	ck_assert_int_eq(end_open(slot, &open), EACCES);
	ck_assert_int_eq(fc_try_open(client, "secret", O_RDWR), EACCES);
	ck_assert_uint_eq(operator.asked, 2);
	ck_assert_uint_eq(told.died, 0);
	end_files();
}
END_TEST

START_TEST(writing_is_asked_about)
{
	struct fuse_open_out open;
	unsigned slot;
	uint64_t node;

	begin_asked();
	node = node_of("asked");
	ck_assert_int_eq(fc_try_open(client, "asked", O_RDONLY), 0);
	ck_assert_uint_eq(operator.asked, 0);
	slot = post_open(node, O_RDWR, 1000);
	wait_until_asked(slot, 1);
	ck_assert_int_eq(operator.op, POLICY_WRITE);
	files_client_decide(files, operator.slot, POLICY_ALLOW);
	ck_assert_int_eq(end_open(slot, &open), 0);
	ck_assert_int_eq(fc_write(client, node, open.fh, 0, "HELLO", 5, 0), 0);
	ck_assert_uint_eq(told.died, 0);
	end_files();
}
END_TEST

START_TEST(an_interrupt_withdraws_it)
{
	struct fuse_open_out open;
	unsigned slot;

	begin_asked();
	slot = post_open(node_of("secret"), O_RDONLY, 1000);
	wait_until_asked(slot, 1);
	interrupt(1000);
	ck_assert_int_eq(end_open(slot, &open), EINTR);
	run_until(&operator.withdrawn);
	/* Too late. */
	files_client_decide(files, operator.slot, POLICY_ALLOW);
	ck_assert_uint_eq(told.died, 0);
	end_files();
}
END_TEST

START_TEST(another_policy_decides_anew)
{
	struct fuse_open_out open;
	unsigned slot;

	begin_asked();
	slot = post_open(node_of("secret"), O_RDONLY, 1000);
	wait_until_asked(slot, 1);
	/* It asks again, in case the rule is another one. */
	files_host_replace(&host, RULES);
	wait_until_asked(slot, 2);
	files_host_replace(&host, READABLE);
	ck_assert_int_eq(end_open(slot, &open), 0);
	run_until(&operator.withdrawn);
	files_host_replace(&host, RULES);
	slot = post_open(node_of("secret"), O_RDONLY, 1002);
	wait_until_asked(slot, 3);
	files_host_replace(&host, DENIED);
	ck_assert_int_eq(end_open(slot, &open), EACCES);
	ck_assert_uint_eq(told.died, 0);
	end_files();
}
END_TEST

START_TEST(so_many_wait_at_most)
{
	unsigned slot[FILES_WAITING_MAX + 3], i;
	struct fuse_open_out open;
	uint64_t node;

	begin_asked();
	node = node_of("secret");
	for (i = 0; i < FILES_WAITING_MAX; i++) {
		slot[i] = post_open(node, O_RDONLY, 1000 + 2 * i);
		wait_until_asked(slot[i], i + 1);
	}
	for (; i < FILES_WAITING_MAX + 3; i++) {
		slot[i] = post_open(node, O_RDONLY, 1000 + 2 * i);
		ck_assert_int_eq(end_open(slot[i], &open), EACCES);
	}
	ck_assert_int_eq(fc_mkdir(client, ROOT, "d", 0755), 0);
	for (i = 0; i < FILES_WAITING_MAX; i++)
		files_client_decide(files, slot[i], POLICY_ALLOW);
	for (i = 0; i < FILES_WAITING_MAX; i++)
		ck_assert_int_eq(end_open(slot[i], &open), 0);
	ck_assert_uint_eq(told.died, 0);
	end_files();
}
END_TEST

START_TEST(without_an_operator_it_is_denied)
{
	begin_files(RULES, false);
	host_write(&host, "secret", "hello");
	host_write(&host, "other", "hello");
	ck_assert_int_eq(fc_try_open(client, "other", O_RDONLY), 0);
	/* The loop decides, so that the request waits for it. */
	ck_assert_int_eq(
		end_open(post_open(node_of("secret"), O_RDONLY, 1000), &(struct fuse_open_out){0}),
		EACCES);
	ck_assert_uint_eq(told.died, 0);
	end_files();
}
END_TEST

UNIT_MAIN("files_client_ask", a_request_waits_for_the_operator, writing_is_asked_about,
	  an_interrupt_withdraws_it, another_policy_decides_anew, so_many_wait_at_most,
	  without_an_operator_it_is_denied)
