/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A 9P session over a small tree and a policy: requests as a guest's kernel sends them, with fields
 * from the script, some cut short or with bytes changed. Each gets one whole reply, and denied or
 * hidden files never change or leak. Now and then the session is saved, perhaps changed, and
 * restored as another.
 */
#include "tests/fuzz/files_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#define REQUESTS_MAX 64

static struct files_host host;

/*
 * The fields of a request after its header: f a fid, n a new fid, s a name, d data with its length.
 */
static const struct {
	uint8_t type;
	const char *fields;
} requests[] = {
	{P9_TSTATFS, "f"},	{P9_TLOPEN, "f4"},	   {P9_TLCREATE, "fs444"},
	{P9_TSYMLINK, "fss4"},	{P9_TMKNOD, "fs4444"},	   {P9_TRENAME, "ffs"},
	{P9_TREADLINK, "f"},	{P9_TGETATTR, "f8"},	   {P9_TSETATTR, "f444488888"},
	{P9_TXATTRWALK, "fns"}, {P9_TXATTRCREATE, "fs84"}, {P9_TREADDIR, "f84"},
	{P9_TFSYNC, "f4"},	{P9_TLOCK, "f14884s"},	   {P9_TGETLOCK, "f1884s"},
	{P9_TLINK, "ffs"},	{P9_TMKDIR, "fs44"},	   {P9_TRENAMEAT, "fsfs"},
	{P9_TUNLINKAT, "fs4"},	{P9_TWALK, "fnw"},	   {P9_TREAD, "f84"},
	{P9_TWRITE, "f8d"},	{P9_TCLUNK, "f"},	   {P9_TREMOVE, "f"},
	{P9_TATTACH, "n4ss4"},	{P9_TFLUSH, "2"},	   {P9_TVERSION, "4s"},
	{P9_TLOPEN, "f4"},	{P9_TWALK, "fnw"},	   {P9_TWALK, "fnw"},
};

static void put_field(struct fuzz_script *script, struct p9_client *client, char field)
{
	static const uint8_t data[300] = {'x'};
	unsigned count, i;

	switch (field) {
	case 'f':
		p9c_u32(client, fuzz_below(script, 8));
		break;
	case 'n':
		p9c_u32(client, fuzz_rarely(script, 16) ? P9_NOFID : fuzz_below(script, 8));
		break;
	case 's':
		p9c_string(client, files_tree_name(script));
		break;
	case 'w':
		count = fuzz_rarely(script, 16) ? fuzz_below(script, 20) : fuzz_below(script, 4);
		p9c_u16(client, (uint16_t)count);
		for (i = 0; i < count; i++)
			p9c_string(client, files_tree_name(script));
		break;
	case 'd':
		count = fuzz_below(script, 255);
		p9c_u32(client, count);
		p9c_bytes(client, data, count);
		break;
	case '1':
		p9c_u8(client, (uint8_t)fuzz_below(script, 4));
		break;
	case '2':
		p9c_u16(client, (uint16_t)files_tree_number(script));
		break;
	case '4':
		p9c_u32(client, (uint32_t)files_tree_number(script));
		break;
	default:
		p9c_u64(client, files_tree_number(script));
		break;
	}
}

static void request(struct fuzz_script *script, struct p9_client *client)
{
	unsigned which = fuzz_below(script, ARRAY_SIZE(requests));
	const char *field;
	size_t at;
	ssize_t n;

	p9c_begin(client, requests[which].type);
	for (field = requests[which].fields; *field; field++)
		put_field(script, client, *field);
	if (fuzz_rarely(script, 16))
		client->length = P9_HEADER_SIZE +
				 fuzz_number(script, 2) % (client->length - P9_HEADER_SIZE + 1);
	if (fuzz_rarely(script, 16) && client->length > P9_HEADER_SIZE) {
		at = P9_HEADER_SIZE + fuzz_number(script, 2) % (client->length - P9_HEADER_SIZE);
		client->message[at] = (uint8_t)fuzz_number(script, 1);
	}
	/* The transport refuses a message longer than msize before it gets here. */
	if (client->length > files_session_msize(client->session))
		return;
	store_le32(client->message, (uint32_t)client->length);
	n = files_session_handle(client->session, client->message, client->length, client->reply);
	FUZZ_REQUIRE(n >= (ssize_t)P9_HEADER_SIZE && n <= (ssize_t)FILES_MSIZE_MAX);
	FUZZ_REQUIRE(load_le32(client->reply) == (size_t)n);
	FUZZ_REQUIRE(client->reply[4] == client->message[4] + 1 ||
		     (client->reply[4] == P9_RLERROR && n == 11));
	FUZZ_REQUIRE(
		!memmem(client->reply, (size_t)n, FILES_TREE_SECRET, strlen(FILES_TREE_SECRET)));
}

/* Saves the session, perhaps changes the saved bytes, and restores them in another session. */
static void go_on(struct fuzz_script *script, struct p9_client *client)
{
	struct pack saved = {.data = NULL};
	struct files_session *session;
	struct unpack from;
	bool changed = fuzz_rarely(script, 2);
	unsigned i;
	int ret;

	files_session_save(client->session, &saved);
	FUZZ_REQUIRE(!saved.failed);
	for (i = 0; changed && i < 4; i++)
		saved.data[fuzz_number(script, 2) % saved.length] = (uint8_t)fuzz_number(script, 1);
	from = (struct unpack){.data = saved.data, .length = saved.length};
	FUZZ_REQUIRE(files_session_create(&session, &host.share) == 0);
	ret = files_session_restore(session, &from);
	FUZZ_REQUIRE(changed || (ret == 0 && unpack_done(&from)));
	if (ret == 0) {
		files_session_reopen(session);
		files_session_destroy(client->session);
		client->session = session;
	} else {
		files_session_destroy(session);
	}
	pack_free(&saved);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_script script = {.at = data, .left = size};
	struct files_stats stats;
	unsigned i;

	files_tree_begin();
	files_host_begin(&host, files_tree_rules, fuzz_rarely(&script, 8));
	files_tree_make(&host);
	for (i = 0; i < REQUESTS_MAX && !fuzz_ended(&script); i++)
		if (fuzz_rarely(&script, 16))
			go_on(&script, &host.client);
		else
			request(&script, &host.client);
	files_tree_check(&host);
	files_session_stats(host.client.session, &stats);
	FUZZ_REQUIRE(stats.fids <= 9 && stats.open <= stats.fids);
	files_host_end(&host);
	return 0;
}
