/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cost of a request to the file server: FUSE requests that a session in this process handles
 * (.session), and those that the file server's process does (no suffix), with no policy and with
 * one of 1,000 rules (.rules); and the system calls of a program on the host (.host). Prints a line
 * `ID VALUE UNIT` a figure.
 *
 *   files-process DIRECTORY SECONDS     (SECONDS: of each measurement)
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/files/measures.h"
#include "vmm/base/bytes.h"
#include "vmm/base/loop.h"
#include "vmm/files/client.h"
#include "vmm/files/server.h"

static struct files_client *files;
static struct loop *loop;
static bool started; /* the process handles requests */
static uint64_t directory, file, big_node, big_handle;

/* --- operations ------------------------------------------------------------------------------- */

static void lookup(void)
{
	struct fuse_entry_out entry;

	need(fc_lookup(client, directory, "f", &entry) == 0);
}

static void read_small(void)
{
	struct fuse_open_out open_out;
	size_t n;

	need(fc_open(client, file, O_RDONLY, &open_out) == 0 &&
	     fc_read(client, file, open_out.fh, 0, 4096, data, &n) == 0 &&
	     fc_release(client, file, open_out.fh) == 0);
}

static void read_big(void)
{
	size_t n;

	need(fc_read(client, big_node, big_handle, 0, BIG, data, &n) == 0 && n == BIG);
}

static const struct {
	const char *name, *unit;
	void (*request)(void), (*on_host)(void);
	double factor;
} operations[] = {
	{"lookup", "1/s", lookup, stat_host, 1},
	{"open-read", "1/s", read_small, read_small_host, 1},
	{"read", "MB/s", read_big, read_big_host, BIG / 1e6},
};

/* --- the process ------------------------------------------------------------------------------ */

static ssize_t by_process(void *arg, const void *in, size_t length, void *out, size_t room)
{
	void *buffer;
	int slot = files_client_take(files, files_client_lane(files, in, length), &buffer);
	const void *reply;
	size_t got;

	(void)arg;
	if (slot < 0 || length > FILES_REQUEST_MAX)
		return 0;
	memcpy(buffer, in, length);
	files_client_send(files, (unsigned)slot, length, room);
	/* The first request waits for the process, which the loop hears of. */
	if (!started && !files_client_wait(files, (unsigned)slot, 0, &reply, &got)) {
		loop_run(loop);
		files_client_reply(files, (unsigned)slot, &reply, &got);
	} else if (started &&
		   !files_client_wait(files, (unsigned)slot, UINT64_C(10000000000), &reply, &got)) {
		return 0;
	}
	started = true;
	memcpy(out, reply, got);
	files_client_release(files, (unsigned)slot);
	return (ssize_t)got;
}

static void done(void *arg, unsigned slot)
{
	(void)arg;
	(void)slot;
	loop_stop(loop);
}

static void room(void *arg)
{
	(void)arg;
}

static void died(void *arg, const char *why)
{
	(void)arg;
	fprintf(stderr, "files-process: the file server has ended: %s\n", why);
	exit(1);
}

static void begin_process(void)
{
	static const struct files_client_ops ops = {.done = done, .room = room, .died = died};
	const struct files_client_config config = {
		.guard = host.guard,
		.bytes_max = UINT64_C(64) << 30,
		.files_max = 4000000,
		.ops = &ops,
	};
	struct fuse_init_out init;
	struct fuse_entry_out entry;
	struct err err = {""};

	if (files_client_create(&files, loop, &config, &err) < 0 ||
	    files_client_add(files, 0, &host.share, FUSED_STRICT) < 0) {
		fprintf(stderr, "files-process: %s\n", err.text);
		exit(1);
	}
	files_client_begin(files);
	client->handle = by_process;
	need(fc_init(client, UINT64_MAX, &init) == 0);
	need(fc_lookup(client, FUSE_ROOT_ID, "0", &entry) == 0);
	client->root = entry.nodeid;
}

/* --- */

static void measure_form(const char *suffix, const char *rules)
{
	struct fuse_open_out open_out;
	unsigned i;

	need(fc_go(client, "a/b", &directory) == 0 && fc_go(client, "a/b/f", &file) == 0 &&
	     fc_go(client, "big", &big_node) == 0 &&
	     fc_open(client, big_node, O_RDWR, &open_out) == 0);
	big_handle = open_out.fh;
	for (i = 0; i < ARRAY_SIZE(operations); i++)
		printf("%s%s%s %.6g %s\n", operations[i].name, suffix, rules ? ".rules" : "",
		       measure(operations[i].request) * operations[i].factor, operations[i].unit);
}

static void measure_all(const char *rules)
{
	unsigned i;

	begin_host(rules);
	for (i = 0; i < ARRAY_SIZE(operations) && !rules; i++)
		printf("%s.host %.6g %s\n", operations[i].name,
		       measure(operations[i].on_host) * operations[i].factor, operations[i].unit);
	measure_form(".session", rules);
	if (loop_create(&loop) < 0)
		exit(1);
	started = false;
	begin_process();
	measure_form("", rules);
	files_client_destroy(files);
	client->handle = NULL;
	loop_destroy(loop);
	end_host();
}

int main(int argc, char **argv)
{
	char *rules;

	if (argc > 0 && strcmp(argv[0], FILES_CLIENT_PROGRAM) == 0)
		return files_server_main(FILES_SERVER_FD);
	seconds = argc == 3 ? atof(argv[2]) : 0;
	if (seconds <= 0) {
		fprintf(stderr, "usage: files-process DIRECTORY SECONDS\n");
		return 2;
	}
	files_host_directory = argv[1];
	rules = make_rules();
	measure_all(NULL);
	measure_all(rules);
	free(rules);
	return end_measures("files-process");
}
