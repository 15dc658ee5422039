/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A FUSE session over a small tree and a policy: requests as a guest's kernel sends them about
 * nodes and open files that it was told of, with fields from the script, some cut short or with
 * bytes changed. Each gets a reply that is whole and fits, or none where the protocol wants none;
 * denied or hidden files never change or leak. Now and then the policy is replaced by the same one,
 * a second root comes or goes, and what waits for a lock is handled again.
 */
#include "tests/fuzz/files_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define REQUESTS_MAX 64
#define KNOWN	     8

static struct files_host host;
static struct fuse_client *const client = &host.client;

/* The last numbers that the server has told. */
static uint64_t nodes[KNOWN], handles[KNOWN];
static unsigned next_node, next_handle;

/* A request that waits for a lock. */
static struct {
	size_t length;
	uint64_t tag;
	uint8_t message[256];
} waiting[KNOWN];

/*
 * The fields of a request behind its header: n a node, h a handle, s a name, l the length of data,
 * d the data, 4 and 8 numbers, c and b small ones of 4 and 8 bytes, o flags of an open, m a mode, 0
 * four bytes of zeros.
 */
static const struct {
	uint32_t opcode;
	const char *fields;
} requests[] = {
	{FUSE_LOOKUP, "s"},
	{FUSE_LOOKUP, "s"},
	{FUSE_FORGET, "8"},
	{FUSE_GETATTR, "00h"},
	{FUSE_GETATTR, "c0h"},
	{FUSE_SETATTR, "40h88888444m4004"},
	{FUSE_READLINK, ""},
	{FUSE_SYMLINK, "ss"},
	{FUSE_MKNOD, "m400s"},
	{FUSE_MKDIR, "m0s"},
	{FUSE_UNLINK, "s"},
	{FUSE_RMDIR, "s"},
	{FUSE_RENAME, "nss"},
	{FUSE_RENAME2, "nc0ss"},
	{FUSE_LINK, "ns"},
	{FUSE_OPEN, "o0"},
	{FUSE_OPEN, "o0"},
	{FUSE_READ, "h844844"},
	{FUSE_WRITE, "h8l4844d"},
	{FUSE_STATFS, ""},
	{FUSE_RELEASE, "h448"},
	{FUSE_FSYNC, "h40"},
	{FUSE_GETXATTR, "40s"},
	{FUSE_LISTXATTR, "40"},
	{FUSE_SETXATTR, "lcsd"},
	{FUSE_REMOVEXATTR, "s"},
	{FUSE_FLUSH, "h448"},
	{FUSE_OPENDIR, "00"},
	{FUSE_READDIR, "h844844"},
	{FUSE_READDIRPLUS, "h844844"},
	{FUSE_GETLK, "hb88c4c0"},
	{FUSE_SETLK, "hb88c4c0"},
	{FUSE_SETLKW, "hb88c4c0"},
	{FUSE_CREATE, "om00s"},
	{FUSE_CREATE, "om00s"},
	{FUSE_TMPFILE, "om00s"},
	{FUSE_INTERRUPT, "8"},
	{FUSE_BATCH_FORGET, "40n8"},
	{FUSE_FALLOCATE, "h88c0"},
	{FUSE_LSEEK, "h840"},
	{FUSE_COPY_FILE_RANGE, "h8nh888"},
	{FUSE_SYNCFS, "8"},
	{FUSED_OP_STATX, "c0h44"},
	{FUSE_DESTROY, ""},
};

/* One of the known numbers; rarely a forged one. */
static uint64_t known(struct fuzz_script *script, const uint64_t *numbers)
{
	uint64_t number = numbers[fuzz_below(script, KNOWN)];

	return fuzz_rarely(script, 16) ? number ^ fuzz_number(script, 8) : number;
}

static void put(uint64_t value, size_t size)
{
	uint8_t bytes[8];

	store_le64(bytes, value);
	fc_bytes(client, bytes, size);
}

static void put_field(struct fuzz_script *script, char field, uint32_t *length)
{
	static const uint32_t opens[] = {O_RDONLY,	     O_WRONLY,		O_RDWR,
					 O_RDWR | O_TRUNC,   O_RDWR | O_APPEND, O_WRONLY | O_EXCL,
					 O_RDONLY | O_TRUNC, O_RDWR | O_EXCL};
	static const uint32_t modes[] = {S_IFREG | 0644, S_IFDIR | 0755, 0, S_IFIFO, 07777};
	static const uint8_t data[256] = {'x'};

	switch (field) {
	case 'n':
		put(known(script, nodes), 8);
		break;
	case 'h':
		put(known(script, handles), 8);
		break;
	case 's':
		fc_string(client, files_tree_name(script));
		break;
	case 'l':
		*length = fuzz_below(script, 255);
		put(*length, 4);
		break;
	case 'd':
		fc_bytes(client, data, *length);
		break;
	case 'o':
		put(opens[fuzz_below(script, ARRAY_SIZE(opens))], 4);
		break;
	case 'm':
		put(modes[fuzz_below(script, ARRAY_SIZE(modes))], 4);
		break;
	case 'c':
		put(fuzz_below(script, 4), 4);
		break;
	case 'b':
		put(fuzz_below(script, 4), 8);
		break;
	case '0':
		put(0, 4);
		break;
	default:
		put(files_tree_number(script), field == '4' ? 4 : 8);
		break;
	}
}

/* Remembers the numbers that a reply tells. */
static void learn(uint32_t opcode, const uint8_t *body, size_t length)
{
	const size_t entry = sizeof(struct fuse_entry_out);
	const bool creates = opcode == FUSE_CREATE || opcode == FUSE_TMPFILE;

	if ((opcode == FUSE_LOOKUP || opcode == FUSE_SYMLINK || opcode == FUSE_MKNOD ||
	     opcode == FUSE_MKDIR || opcode == FUSE_LINK || creates) &&
	    length >= entry)
		nodes[next_node++ % KNOWN] = load_le64(body);
	if (creates && length > entry)
		handles[next_handle++ % KNOWN] = load_le64(body + entry);
	if ((opcode == FUSE_OPEN || opcode == FUSE_OPENDIR) && length >= 8)
		handles[next_handle++ % KNOWN] = load_le64(body);
}

static bool has_reply(uint32_t opcode)
{
	return opcode != FUSE_FORGET && opcode != FUSE_BATCH_FORGET && opcode != FUSE_INTERRUPT;
}

/* Handles a message in a room of that size, and checks what comes of it. */
static ssize_t handle(uint64_t tag, const uint8_t *message, size_t length, size_t room)
{
	struct fuse_in_header in = {.len = 0};
	struct fuse_out_header out;
	ssize_t n = fuse_session_handle(client->session, tag, message, length, client->reply, room);

	if (length >= sizeof(in))
		memcpy(&in, message, sizeof(in));
	if (n == FUSED_LATER) {
		FUZZ_REQUIRE(in.opcode == FUSE_SETLKW);
		return n;
	}
	FUZZ_REQUIRE(n >= 0 && (size_t)n <= room);
	if (length < sizeof(in) || room < sizeof(out) || !has_reply(in.opcode)) {
		FUZZ_REQUIRE(n == 0);
		return n;
	}
	FUZZ_REQUIRE((size_t)n >= sizeof(out));
	memcpy(&out, client->reply, sizeof(out));
	FUZZ_REQUIRE(out.len == (size_t)n && out.unique == in.unique);
	FUZZ_REQUIRE(out.error <= 0 && out.error > -4096);
	FUZZ_REQUIRE(out.error == 0 || (size_t)n == sizeof(out));
	FUZZ_REQUIRE(
		!memmem(client->reply, (size_t)n, FILES_TREE_SECRET, strlen(FILES_TREE_SECRET)));
	if (out.error == 0)
		learn(in.opcode, client->reply + sizeof(out), (size_t)n - sizeof(out));
	return n;
}

/* Handles again what waited and may go on; each at most a few times. */
static void pump(void)
{
	unsigned steps, i;
	uint64_t tag;

	for (steps = 0; steps < 4 * KNOWN && fuse_session_retry(client->session, &tag); steps++) {
		for (i = 0; i < KNOWN && (waiting[i].length == 0 || waiting[i].tag != tag); i++)
			;
		FUZZ_REQUIRE(i < KNOWN);
		if (handle(tag, waiting[i].message, waiting[i].length, sizeof(client->reply)) !=
		    FUSED_LATER)
			waiting[i].length = 0;
	}
}

/* Keeps the client's message; what waited in its place is cancelled. */
static void keep(uint64_t tag)
{
	unsigned i = (unsigned)(tag % KNOWN);

	FUZZ_REQUIRE(client->length <= sizeof(waiting[i].message));
	if (waiting[i].length > 0)
		fuse_session_cancel(client->session, waiting[i].tag);
	waiting[i].length = client->length;
	waiting[i].tag = tag;
	memcpy(waiting[i].message, client->message, client->length);
}

static void request(struct fuzz_script *script)
{
	const size_t head = sizeof(struct fuse_in_header);
	unsigned which = fuzz_below(script, ARRAY_SIZE(requests));
	size_t at, room = sizeof(client->reply);
	uint32_t length = 0;
	const char *field;

	fc_begin(client, requests[which].opcode, known(script, nodes));
	for (field = requests[which].fields; *field; field++)
		put_field(script, *field, &length);
	if (fuzz_rarely(script, 16))
		client->length = fuzz_number(script, 2) % (client->length + 1);
	if (fuzz_rarely(script, 16) && client->length > head) {
		at = head + fuzz_number(script, 2) % (client->length - head);
		client->message[at] = (uint8_t)fuzz_number(script, 1);
	}
	if (fuzz_rarely(script, 16))
		room = fuzz_number(script, 2) % 512;
	/* Else a length that is not the message's is all that is found wrong. */
	if (client->length >= 4 && !fuzz_rarely(script, 32))
		store_le32(client->message, (uint32_t)client->length);
	if (handle(client->unique, client->message, client->length, room) == FUSED_LATER)
		keep(client->unique);
	pump();
}

/* Saves the session, perhaps changes the saved bytes, and restores them in another session. */
static void go_on(struct fuzz_script *script)
{
	struct pack saved = {.data = NULL};
	struct fuse_session *session;
	struct unpack from;
	bool changed = fuzz_rarely(script, 2);
	unsigned i;
	int ret;

	fuse_session_save(client->session, &saved);
	FUZZ_REQUIRE(!saved.failed);
	for (i = 0; changed && i < 4; i++)
		saved.data[fuzz_number(script, 2) % saved.length] = (uint8_t)fuzz_number(script, 1);
	from = (struct unpack){.data = saved.data, .length = saved.length};
	FUZZ_REQUIRE(fuse_session_create(&session, NULL) == 0);
	FUZZ_REQUIRE(fuse_session_add(session, "0", &host.share, FUSED_STRICT) == 0);
	ret = fuse_session_restore(session, &from);
	FUZZ_REQUIRE(changed || (ret == 0 && unpack_done(&from)));
	if (ret == 0) {
		fuse_session_reopen(session);
		fuse_session_destroy(client->session);
		client->session = session;
		memset(waiting, 0, sizeof(waiting));
	} else {
		fuse_session_destroy(session);
	}
	pack_free(&saved);
}

/* What others than the guest do. */
static void disturb(struct fuzz_script *script)
{
	struct fuse_init_out init;

	switch (fuzz_below(script, 6)) {
	case 5:
		go_on(script);
		break;
	case 0:
		files_host_replace(&host, files_tree_rules);
		break;
	case 1:
		fuse_session_add(client->session, "1", &host.share, FUSED_NONE);
		break;
	case 2:
		fuse_session_remove(client->session, "1");
		break;
	case 3:
		fuse_session_tick(client->session);
		break;
	default:
		FUZZ_REQUIRE(fc_init(client, UINT64_MAX, &init) == 0);
		break;
	}
	pump();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_script script = {.at = data, .left = size};
	struct fuse_session_stats stats;
	unsigned i, kind;
	bool read_only;

	files_tree_begin();
	read_only = fuzz_rarely(&script, 8);
	kind = fuzz_below(&script, 6);
	files_host_begin_as(&host, files_tree_rules, read_only, (enum fused_cache)(kind % 3), NULL);
	host.share.remember = kind >= 3;
	files_tree_make(&host);
	memset(waiting, 0, sizeof(waiting));
	next_node = next_handle = 0;
	for (i = 0; i < KNOWN; i++) {
		nodes[i] = i ? client->root : FUSE_ROOT_ID;
		handles[i] = 0;
	}
	for (i = 0; i < REQUESTS_MAX && !fuzz_ended(&script); i++)
		if (fuzz_rarely(&script, 16))
			disturb(&script);
		else
			request(&script);
	files_tree_check(&host);
	fuse_session_stats(client->session, &stats);
	FUZZ_REQUIRE(stats.open <= 2 * REQUESTS_MAX && stats.waiting <= KNOWN);
	fuse_session_remove(client->session, "1");
	FUZZ_REQUIRE(fuse_session_remove(client->session, "0") == 0);
	fuse_session_stats(client->session, &stats);
	FUZZ_REQUIRE(stats.open == 0 && stats.nodes == 0 && stats.locks == 0);
	files_host_end(&host);
	return 0;
}
