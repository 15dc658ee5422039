/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of the control socket, with a peer that violates the protocol. */
#include "vmm/control/message.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/send_fds.h"
#include "tests/support/unit.h"

static int ours, theirs;

static void open_pair(void)
{
	int fd[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd), 0);
	ours = fd[0];
	theirs = fd[1];
}

static void close_pair(void)
{
	close(ours);
	close(theirs);
}

static unsigned open_descriptors(void)
{
	unsigned count = 0;
	int fd;

	for (fd = 0; fd < 256; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* As a hostile client would: any bytes, any number of descriptors. */
static void send_raw(const void *bytes, size_t length, unsigned fds)
{
	ck_assert_int_eq(send_fds(theirs, bytes, length, STDIN_FILENO, fds), (ssize_t)length);
}

static int receive(struct message *message, struct err *err)
{
	err->text[0] = '\0';
	return message_receive(ours, message, MSG_DONTWAIT, err);
}

START_TEST(a_message_comes_with_its_descriptors)
{
	const int fd[] = {0, 1, 2};
	unsigned before, count;
	struct message message;
	struct err err;
	json_t *body = json_pack("{s:s,s:i}", "op", "exec", "id", 7);

	open_pair();
	before = open_descriptors();
	for (count = 0; count <= MESSAGE_FDS; count++) {
		ck_assert_int_eq(message_send(theirs, body, fd, count, 0), 0);
		ck_assert_int_eq(receive(&message, &err), 1);
		ck_assert_uint_eq(message.fds, count);
		ck_assert_uint_eq(open_descriptors(), before + count);
		ck_assert(json_equal(message.body, body));
		message_clear(&message);
		ck_assert_uint_eq(open_descriptors(), before);
	}
	ck_assert_int_eq(message_send(theirs, body, fd, MESSAGE_FDS + 1, 0), -EMSGSIZE);
	json_decref(body);
	close_pair();
}
END_TEST

/* Regression: one descriptor too many was once written behind the array. */
START_TEST(too_many_descriptors_are_refused_and_closed)
{
	static const unsigned counts[] = {4, 5, 6, 100, 250};
	struct message message;
	struct err err;
	unsigned before;
	size_t i;

	open_pair();
	before = open_descriptors();
	for (i = 0; i < ARRAY_SIZE(counts); i++) {
		send_raw("{}", 2, counts[i]);
		ck_assert_int_eq(receive(&message, &err), -EPROTO);
		ck_assert_ptr_nonnull(strstr(err.text, "descriptors"));
		ck_assert_uint_eq(message.fds, 0);
		ck_assert_uint_eq(open_descriptors(), before);
	}
	send_raw("{}", 2, 3); /* and the connection still works */
	ck_assert_int_eq(receive(&message, &err), 1);
	ck_assert_uint_eq(message.fds, 3);
	message_clear(&message);
	close_pair();
}
END_TEST

START_TEST(only_objects_are_accepted)
{
	static const char *const bad[] = {
		"x",
		"[]",
		"{",
		"{}}",
		"1",
		"null",
		"\"op\"",
		"{\"a\":1,\"a\":2}",
		"{\"a\":\"\xff\"}",
		"{\"a\":\"\\u0000\"}",
		"{\"a\":1e999}",
		"{\"a\":99999999999999999999}",
		" ",
		"\0",
	};
	struct message message;
	struct err err;
	unsigned before;
	size_t i;

	open_pair();
	before = open_descriptors();
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		send_raw(bad[i], strlen(bad[i]) ? strlen(bad[i]) : 1, 2);
		ck_assert_msg(receive(&message, &err) == -EPROTO, "%s", bad[i]);
		ck_assert_ptr_nonnull(strstr(err.text, "JSON"));
		ck_assert_uint_eq(open_descriptors(), before);
	}
	close_pair();
}
END_TEST

START_TEST(size_is_bounded)
{
	static char text[MESSAGE_MAX + 2];
	struct message message;
	struct err err;
	json_t *body;

	open_pair();
	memset(text, ' ', sizeof(text));
	text[0] = '{';
	text[MESSAGE_MAX - 1] = '}';
	send_raw(text, MESSAGE_MAX, 1);
	ck_assert_int_eq(receive(&message, &err), 1);
	ck_assert_uint_eq(message.fds, 1);
	message_clear(&message);
	text[MESSAGE_MAX - 1] = ' ';
	text[MESSAGE_MAX] = '}';
	send_raw(text, MESSAGE_MAX + 1, 1);
	ck_assert_int_eq(receive(&message, &err), -EPROTO);
	memset(text, 'a', MESSAGE_MAX);
	text[MESSAGE_MAX] = '\0';
	body = json_pack("{s:s}", "a", text);
	ck_assert_int_eq(message_send(theirs, body, NULL, 0, 0), -EMSGSIZE);
	json_decref(body);
	close_pair();
}
END_TEST

/* The deepest JSON that fits a message does not overflow the stack. */
START_TEST(depth_is_bounded)
{
	static char text[MESSAGE_MAX];
	struct message message;
	struct err err;

	open_pair();
	memset(text, '[', sizeof(text));
	memcpy(text, "{\"a\":", 5);
	send_raw(text, sizeof(text), 0);
	ck_assert_int_eq(receive(&message, &err), -EPROTO);
	close_pair();
}
END_TEST

START_TEST(ends_and_empty_queues_are_told_apart)
{
	struct message message;
	struct err err;
	json_t *body = json_object();
	int ret, sent = 0;

	open_pair();
	ck_assert_int_eq(receive(&message, &err), -EAGAIN);
	/* A peer that does not read gets no more than its socket holds. */
	while ((ret = message_send(theirs, body, NULL, 0, MSG_DONTWAIT)) == 0 && sent < 100000)
		sent++;
	ck_assert_int_eq(ret, -EAGAIN);
	close(theirs);
	while (sent-- > 0) {
		ck_assert_int_eq(receive(&message, &err), 1);
		message_clear(&message);
	}
	ck_assert_int_eq(receive(&message, &err), 0);
	ck_assert_int_eq(message_send(ours, body, NULL, 0, 0), -EPIPE);
	json_decref(body);
	close(ours);
}
END_TEST

START_TEST(paths_of_any_bytes)
{
	static const char *const good[] = {"", "/plain", "/f\xc3\xbcr", "/\xff\x01 \xc3"};
	char path[PATH_MAX], longest[PATH_MAX];
	json_t *json;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(good); i++) {
		json = message_path(good[i]);
		ck_assert_ptr_nonnull(json);
		ck_assert_int_eq(json_is_array(json), i == 3);
		ck_assert_int_eq(message_read_path(json, path), 0);
		ck_assert_str_eq(path, good[i]);
		json_decref(json);
	}
	memset(longest, '\xff', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	json = message_path(longest);
	ck_assert_int_eq(message_read_path(json, path), 0);
	ck_assert_str_eq(path, longest);
	json_array_append_new(json, json_integer(1));
	ck_assert_int_eq(message_read_path(json, path), -EINVAL);
	json_decref(json);
}
END_TEST

START_TEST(paths_that_are_none)
{
	static const char *const bad[] = {"1", "null", "{}", "[0]", "[256]", "[-1]", "[\"a\"]"};
	char path[PATH_MAX], longest[PATH_MAX + 1];
	json_t *json;
	size_t i;

	ck_assert_int_eq(message_read_path(NULL, path), -EINVAL);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		json = json_loads(bad[i], JSON_DECODE_ANY, NULL);
		ck_assert_ptr_nonnull(json);
		ck_assert_msg(message_read_path(json, path) == -EINVAL, "%s", bad[i]);
		json_decref(json);
	}
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	json = json_string(longest);
	ck_assert_int_eq(message_read_path(json, path), -EINVAL);
	json_decref(json);
	json = json_string(longest + 1);
	ck_assert_int_eq(message_read_path(json, path), 0);
	json_decref(json);
}
END_TEST

UNIT_MAIN("message", a_message_comes_with_its_descriptors,
	  too_many_descriptors_are_refused_and_closed, only_objects_are_accepted, size_is_bounded,
	  depth_is_bounded, ends_and_empty_queues_are_told_apart, paths_of_any_bytes,
	  paths_that_are_none)
