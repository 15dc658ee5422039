/* SPDX-License-Identifier: Apache-2.0 */
/* The FUSE server: sessions that are restored from hostile bytes. */
#include "tests/unit/fuse_common.h"
#include "tests/unit/fuse_save_common.h"

/* Whatever the bytes say, the session is refused or can be used and ended. */
static void try_bytes(const uint8_t *data, size_t length)
{
	struct fuse_attr attr;
	char text[8];
	size_t n;

	if (read_back(data, length, (const char *const[]){"0"}, 1) < 0)
		return;
	fc_getattr(client, ROOT, &attr);
	fc_cat(client, "f", text, sizeof(text));
	fc_read(client, ROOT, 1ull << 56, 0, 1, text, &n);
	save();
}

START_TEST(forged_bytes_are_refused_or_harmless)
{
	static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};
	uint8_t *good;
	size_t length, at, i;
	uint64_t node, fh, d;

	begin_fuse(NULL, false);
	host_mkdir(&host, "d");
	host_write(&host, "d/in", "x");
	host_write(&host, "f", "x");
	fh = opened("f", O_RDWR, &node);
	node_of("d/in");
	d = node_of("d");
	ck_assert_int_eq(fc_opendir(client, d, &(uint64_t){0}), 0);
	ck_assert_int_eq(fc_lock(client, FUSE_SETLK, node, fh, 1, F_WRLCK, 0, 9, 0), 0);
	ck_assert_int_eq(fc_lock(client, FUSE_SETLK, node, fh, 2, F_RDLCK, 20, 29, 0), 0);
	save();
	length = saved.length;
	good = memcpy(malloc(length), saved.data, length);
	for (at = 0; at < length; at++)
		ck_assert_int_lt(read_back(good, at, (const char *const[]){"0"}, 1), 0);
	for (at = 0; at < length; at++) {
		for (i = 0; i < ARRAY_SIZE(values); i++) {
			uint8_t was = good[at];

			good[at] = values[i];
			try_bytes(good, length);
			good[at] = was;
		}
	}
	ck_assert_int_eq(read_back(good, length, (const char *const[]){"0"}, 1), 0);
	ck_assert_int_eq(fc_write(client, node, fh, 0, "y", 1, 0), 0);
	free(good);
	pack_free(&saved);
	files_host_end(&host);
}
END_TEST

/* --- forged sessions ---------------------------------------------------------------------------
 */

#define GENERATION   7u
#define NUMBER(slot) (1ull << 56 | (uint64_t)GENERATION << 32 | (slot))
#define FILE_NODE    NUMBER(1)
#define DIRECTORY    1u

/* One name, the node of it, and an open file of that. */
struct forgery {
	uint32_t parent; /* of the name: 0 is the root */
	const char *name;
	uint32_t place, slot; /* of the node */
	uint64_t lookups;
	uint32_t node, handle; /* slots of the open file */
	uint32_t flags;
	uint8_t kind;
};

/* Of the file "f". */
static const struct forgery good = {
	.name = "f", .place = 1, .slot = 1, .lookups = 1, .node = 1, .flags = O_RDONLY};

static void forge_node(struct pack *to, uint32_t place, uint32_t slot, uint64_t lookups)
{
	static const uint8_t unknown[32 + 1];

	pack_u32(to, place);
	pack_u32(to, slot);
	pack_u32(to, GENERATION);
	pack_u64(to, lookups);
	pack_bytes(to, unknown, sizeof(unknown));
}

static void forge_handle(struct pack *to, uint32_t node, uint32_t slot, uint32_t flags,
			 uint8_t kind)
{
	pack_u32(to, node);
	pack_u32(to, 1);
	pack_u32(to, slot);
	pack_u32(to, GENERATION);
	pack_u32(to, flags);
	pack_u8(to, kind);
	pack_u32(to, 0); /* locks */
}

/* Wraps the root's bytes, and frees them. */
static int read_forged(struct pack *root)
{
	struct pack whole = {.data = NULL};
	int ret;

	pack_u8(&whole, true);
	pack_u32(&whole, 1);
	pack_text(&whole, "0");
	pack_u8(&whole, 0);
	pack_u32(&whole, (uint32_t)root->length);
	pack_bytes(&whole, root->data, root->length);
	pack_u64(&whole, 0); /* bytes and files made, the table of owners */
	pack_u64(&whole, 0);
	pack_u32(&whole, 0);
	ret = read_back(whole.data, whole.length, (const char *const[]){"0"}, 1);
	pack_free(&whole);
	pack_free(root);
	return ret;
}

static int forge(struct forgery forgery)
{
	struct pack root = {.data = NULL};

	pack_u32(&root, 1);
	pack_u32(&root, forgery.parent);
	pack_u8(&root, (uint8_t)strlen(forgery.name));
	pack_bytes(&root, forgery.name, strlen(forgery.name));
	pack_u32(&root, 2);
	forge_node(&root, 0, 0, 0);
	forge_node(&root, forgery.place, forgery.slot, forgery.lookups);
	pack_u32(&root, 1);
	forge_handle(&root, forgery.node, forgery.handle, forgery.flags, forgery.kind);
	return read_forged(&root);
}

/* The good one but for one field. */
#define FORGE(field, value)                    \
	({                                     \
		struct forgery forgery = good; \
		forgery.field = (value);       \
		forge(forgery);                \
	})

static int read_file(size_t *n)
{
	char text[16];

	return fc_read(client, FILE_NODE, NUMBER(0), 0, 9, text, n);
}

START_TEST(forged_sessions_get_no_further_than_requests)
{
	size_t n;

	begin_fuse("file hide /w/.env\nfile read /w/**\n", false);
	host_write(&host, "f", "x");
	host_write(&host, ".env", "x");
	ck_assert_int_eq(symlink("../secret", host_path(&host, "link")), 0);
	ck_assert_int_eq(mkfifo(host_path(&host, "fifo"), 0600), 0);
	ck_assert_int_eq(FORGE(name, ".."), -EINVAL);
	ck_assert_int_eq(FORGE(name, "."), -EINVAL);
	ck_assert_int_eq(FORGE(name, ""), -EINVAL);
	ck_assert_int_eq(FORGE(name, "../secret"), -EINVAL);
	ck_assert_int_eq(FORGE(parent, 1), -EINVAL);
	ck_assert_int_eq(FORGE(place, 2), -EINVAL);
	ck_assert_int_eq(FORGE(place, 0), -EINVAL); /* the root has a number */
	ck_assert_int_eq(FORGE(slot, 0), -EINVAL);
	ck_assert_int_eq(FORGE(slot, FUSED_NODES_MAX + 1), -EINVAL);
	ck_assert_int_eq(FORGE(lookups, 0), -EINVAL);
	ck_assert_int_eq(FORGE(node, 2), -EINVAL);
	ck_assert_int_eq(FORGE(handle, UINT32_MAX), -EINVAL);
	/* They can be restored, but what is there is not opened. */
	ck_assert_int_eq(FORGE(name, "link"), 0);
	ck_assert_int_eq(read_file(&n), ESTALE);
	ck_assert_int_eq(FORGE(name, "fifo"), 0);
	ck_assert_int_eq(read_file(&n), ESTALE);
	ck_assert_int_eq(FORGE(name, ".env"), 0);
	ck_assert_int_eq(read_file(&n), ESTALE);
	ck_assert_int_eq(FORGE(flags, O_RDWR), 0);
	ck_assert_int_eq(fc_write(client, FILE_NODE, NUMBER(0), 0, "y", 1, 0), ESTALE);
	ck_assert_int_eq(FORGE(kind, DIRECTORY), 0);
	ck_assert_int_eq(read_file(&n), ESTALE);
	ck_assert_int_eq(FORGE(name, "none"), 0);
	ck_assert_int_eq(read_file(&n), ESTALE);
	ck_assert_uint_eq(fuse_stats().open, 0);
	/* And nothing is made or cut. */
	files_host_replace(&host, "file write /w/**\n");
	ck_assert_int_eq(forge((struct forgery){.name = "none",
						.place = 1,
						.slot = 1,
						.lookups = 1,
						.node = 1,
						.flags = O_RDWR | O_CREAT}),
			 0);
	ck_assert(!host_has(&host, "none"));
	ck_assert_int_eq(FORGE(flags, O_RDWR | O_TRUNC), 0);
	ck_assert_str_eq(host_read(&host, "f"), "x");
	ck_assert_int_eq(FORGE(flags, O_RDONLY), 0);
	ck_assert_int_eq(read_file(&n), 0);
	ck_assert_uint_eq(n, 1);
	files_host_end(&host);
}
END_TEST

/* Open directories, as many as that, all of the root. */
static int forge_open(uint32_t count)
{
	struct pack root = {.data = NULL};
	uint32_t i;

	pack_u32(&root, 0);
	pack_u32(&root, 1);
	forge_node(&root, 0, 0, 0);
	pack_u32(&root, count);
	for (i = 0; i < count; i++)
		forge_handle(&root, 0, i, O_RDONLY, DIRECTORY);
	return read_forged(&root);
}

START_TEST(no_more_is_opened_than_a_guest_could)
{
	begin_fuse(NULL, false);
	ck_assert_int_eq(forge_open(200), 0);
	ck_assert_uint_eq(fuse_stats().open, 200);
	ck_assert_int_eq(forge_open(FUSED_OPEN_MAX), 0);
	ck_assert_uint_le(fuse_stats().open, FUSED_OPEN_MAX);
	ck_assert_int_eq(forge_open(FUSED_OPEN_MAX + 1), -EINVAL);
	files_host_end(&host);
}
END_TEST

/* --- what has no place -------------------------------------------------------------------------
 */

#define DEPTH 300

/* Nodes of places that are no more, deep below what was removed. */
START_TEST(missing_places_are_saved_without_their_names)
{
	const unsigned count = 2000;
	char name[16];
	uint64_t at, node;
	size_t length = 0;
	unsigned i;

	if (access("/dev/shm", W_OK) == 0) /* thousands of directories */
		files_host_directory = "/dev/shm";
	begin_fuse(NULL, false);
	ck_assert_int_eq(fc_mkdir(client, ROOT, "here", 0755), 0);
	ck_assert_int_eq(fc_mkdir(client, ROOT, "gone", 0755), 0);
	at = node_of("gone");
	for (i = 0; i < DEPTH; i++) {
		ck_assert_int_eq(fc_mkdir(client, at, "d", 0755), 0);
		ck_assert_int_eq(fc_walk(client, at, "d", &at), 0);
	}
	for (i = 0; i < count; i++) {
		snprintf(name, sizeof(name), "%u", i);
		if (fc_mkdir(client, at, name, 0755) != 0 || fc_rmdir(client, at, name) != 0)
			ck_abort_msg("name %u", i);
	}
	/* The host takes it away, and the guest removes what stands there then. */
	ck_assert_int_eq(rename(host_path(&host, "gone"), host_path(&host, "../away")), 0);
	host_mkdir(&host, "gone");
	ck_assert_int_eq(fc_rmdir(client, ROOT, "gone"), 0);
	ck_assert_uint_eq(fuse_stats().nodes, 1 + 1 + DEPTH + count);
	/* Twice: what was noted for the first is forgotten. */
	for (i = 0; i < 2; i++) {
		save();
		ck_assert(length == 0 || saved.length == length);
		length = saved.length;
	}
	/* One name, and each node. */
	ck_assert_uint_eq(length, 1 + 4 + (2 + 1) + 1 + 4 + 4 + (4 + 1 + 4) + 4 +
					  (size_t)(2 + 1 + DEPTH + count) * 53 + 4 + 8 + 8 + 4);
	ck_assert_int_eq(read_back(saved.data, saved.length, (const char *const[]){"0"}, 1), 0);
	ck_assert_int_eq(fc_walk(client, at, "x", &node), ENOENT);
	ck_assert_int_eq(fc_mkdir(client, node_of("here"), "x", 0755), 0);
	pack_free(&saved);
	files_host_end(&host);
}
END_TEST

UNIT_MAIN("fuse_save_forged", forged_bytes_are_refused_or_harmless,
	  forged_sessions_get_no_further_than_requests, no_more_is_opened_than_a_guest_could,
	  missing_places_are_saved_without_their_names)
