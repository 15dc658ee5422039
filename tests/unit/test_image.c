/* SPDX-License-Identifier: Apache-2.0 */
/* Layers unpacked one over the other, and hostile ones, each beside one that is allowed. */
#include "vmm/image/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "tests/support/forged_image.h"
#include "tests/support/unit.h"
#include "vmm/base/fd.h"
#include "vmm/image/extract.h"
#include "vmm/image/layer.h"

#define ENTRIES(...) ((const struct forged_entry[]){__VA_ARGS__, {.type = 0}})

static struct forged_image image;
static struct forged_layer layer;
static struct image_counts counts;
static struct err err;

static void add(const struct forged_entry *entries, enum layer_kind kind)
{
	forged_layer(&layer, entries);
	forged_add(&image, &layer, kind);
}

static int unpack_with(const struct image_limits *limits)
{
	struct image_source source;
	char path[128];
	int ret;

	snprintf(path, sizeof(path), "%s/src", image.base);
	err.text[0] = '\0';
	ret = image_source_open(&source, path, &err);
	if (ret == 0)
		ret = image_unpack(&image.manifest, &source, image.out_fd, limits, &counts, &err);
	image_source_close(&source);
	ck_assert_msg(ret == 0 || err.text[0], "an error without a message");
	return ret;
}

static int unpack(void)
{
	return unpack_with(&image_limits_default);
}

/* One layer over an honest one, from nothing. */
static int unpack_only(const struct forged_entry *entries)
{
	int ret;

	forged_create(&image);
	add(ENTRIES({'5', "d", ""}, {'0', "d/below", "below"}), LAYER_PLAIN);
	add(entries, LAYER_GZIP);
	ret = unpack();
	return ret;
}

START_TEST(layers_lie_one_over_the_other)
{
	struct stat status;

	forged_create(&image);
	add(ENTRIES({'5', "./", ""}, {'5', "./etc/", ""}, {'0', "./etc/a", "a0"},
		    {'0', "etc/b", "b0"}, {'0', "@4751 etc/mode", "m"}, {'5', "@1777 tmp", ""},
		    {'0', "kind", "a file"}, {'5', "tree", ""}, {'0', "tree/in", "in"},
		    {'5', "@555 closed", ""}, {'2', "link", "etc/a"}),
	    false);
	add(ENTRIES({'0', "etc/a", "a1"}, {'0', "usr/share/new", "new"}, {'1', "hard", "./etc/b"},
		    {'5', "kind", ""}, {'0', "kind/in", "in it"}, {'0', "tree", "now a file"},
		    {'0', "closed/in", "later"}, {'0', "link", "no link any more"},
		    {'3', "dev/null", ""}, {'6', "pipe", ""}),
	    true);
	ck_assert_msg(unpack() == 0, "%s", err.text);
	ck_assert(forged_has(&image, "etc/a", "a1") && forged_has(&image, "etc/b", "b0"));
	ck_assert(forged_has(&image, "usr/share/new", "new") && forged_has(&image, "hard", "b0"));
	ck_assert(forged_has(&image, "kind/in", "in it") &&
		  forged_has(&image, "tree", "now a file"));
	ck_assert(forged_has(&image, "closed/in", "later"));
	ck_assert(forged_has(&image, "link", "no link any more"));
	ck_assert(forged_has(&image, "dev/null", NULL) && forged_has(&image, "pipe", NULL));
	ck_assert_uint_eq(counts.left_out, 2);
	ck_assert_uint_eq(counts.entries, 21);
	ck_assert_int_eq(fstatat(image.out_fd, "etc/mode", &status, 0), 0);
	ck_assert_uint_eq(status.st_mode & 07777, 0751); /* without set-user-id */
	ck_assert_int_eq(status.st_mtime, 1000000000);
	ck_assert_int_eq(fstatat(image.out_fd, "tmp", &status, 0), 0);
	ck_assert_uint_eq(status.st_mode & 07777, 01777);
	ck_assert_int_eq(fstatat(image.out_fd, "usr/share", &status, 0), 0);
	ck_assert_uint_eq(status.st_mode & 07777, 0755);
	forged_destroy(&image);
}
END_TEST

START_TEST(whiteouts_hide_what_is_below_and_nothing_else)
{
	forged_create(&image);
	add(ENTRIES({'0', "a/gone", "0"}, {'0', "a/stays", "0"}, {'0', "b/x", "0"},
		    {'0', "b/y", "0"}, {'0', "c/deep/er", "0"}, {'0', "e/f", "0"}),
	    false);
	/* In any order: a whiteout never touches its own layer. */
	add(ENTRIES({'0', "a/.wh.gone", ""}, {'0', "b/new", "1"}, {'0', "b/.wh..wh..opq", ""},
		    {'0', "b/x", "1"}, {'0', ".wh.c", ""}, {'5', "c", ""}, {'0', "c/own", "1"},
		    {'0', "e/f", "1"}, {'0', "e/.wh.f", ""}, {'0', "e/.wh.never", ""},
		    {'0', "no/.wh.where", ""}, {'0', ".wh..wh.plnk", ""}),
	    true);
	ck_assert_msg(unpack() == 0, "%s", err.text);
	ck_assert(forged_has(&image, "a/gone", NULL) && forged_has(&image, "a/stays", "0"));
	ck_assert(forged_has(&image, "a/.wh.gone", NULL));
	ck_assert(forged_has(&image, "b/new", "1") && forged_has(&image, "b/x", "1"));
	ck_assert(forged_has(&image, "b/y", NULL) && forged_has(&image, "b/.wh..wh..opq", NULL));
	ck_assert(forged_has(&image, "c/deep", NULL) && forged_has(&image, "c/own", "1"));
	ck_assert(forged_has(&image, "e/f", "1") && forged_has(&image, ".wh..wh.plnk", NULL));
	forged_destroy(&image);
}
END_TEST

static const char *owner_of(const char *name)
{
	static char text[32];
	int fd = openat(image.out_fd, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fgetxattr(fd, OWNER_ATTRIBUTE, text, sizeof(text) - 1);

	close(fd);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

START_TEST(owners_are_noted)
{
	forged_create(&image);
	add(ENTRIES({'0', "@444:1234 file", "f"}, {'5', "@555:77 folder", ""}, {'0', "plain", "p"},
		    {'0', "@644:5 gone", "g"}, {'5', "@755:6 back", ""}),
	    LAYER_PLAIN);
	add(ENTRIES({'0', "gone", "root's"}, {'5', "back", ""}), LAYER_PLAIN);
	ck_assert_msg(unpack() == 0, "%s", err.text);
	/* Where the file system can't hold them there are none, and that is told. */
	ck_assert_uint_eq(counts.owned, 4);
	ck_assert(counts.owners_kept == (fsetxattr(image.out_fd, OWNER_ATTRIBUTE, "x", 1, 0) == 0));
	if (counts.owners_kept) {
		ck_assert_str_eq(owner_of("file"), "1234:0");
		ck_assert_str_eq(owner_of("folder"), "77:0");
	}
	ck_assert_str_eq(owner_of("plain"), "");
	ck_assert_str_eq(owner_of("gone"), "");
	ck_assert_str_eq(owner_of("back"), "");
	forged_destroy(&image);
}
END_TEST

START_TEST(entries_that_climb_out_are_refused)
{
	static char long_part[300];
	const struct {
		struct forged_entry entry;
		int ret;
	} cases[] = {
		{{'0', "/etc/x", "bad"}, -EPROTO},
		{{'0', "etc/x", "ok"}, 0},
		{{'0', "../x", "bad"}, -EPROTO},
		{{'0', "d/../../x", "bad"}, -EPROTO},
		{{'0', "d/../x", "bad"}, -EPROTO},
		{{'0', "d/..", "bad"}, -EPROTO},
		{{'0', "d/...", "ok"}, 0},
		{{'0', "./d/./x//y", "ok"}, 0},
		{{'5', "..", ""}, -EPROTO},
		{{'5', ".", ""}, 0},
		{{'0', ".", "bad"}, -EPROTO},
		{{'2', "./", "bad"}, -EPROTO},
		{{'0', ".wh...", ""}, -EPROTO}, /* would remove ".." */
		{{'0', "d/.wh...", ""}, -EPROTO},
		{{'0', "d/.wh..", ""}, -EPROTO}, /* would remove "." */
		{{'0', "d/.wh.", ""}, -EPROTO},
		{{'0', "d/.wh.below", ""}, 0},
		{{'0', "d/.wh.below/x", ""}, -EPROTO},
		{{'0', "d/.whx", ""}, 0},
		{{'1', "h", "/etc/passwd"}, -EPROTO},
		{{'1', "h", "../out"}, -EPROTO},
		{{'1', "h", "d/../d/below"}, -EPROTO},
		{{'1', "h", "d/none"}, -EPROTO},
		{{'1', "h", "d"}, -EPROTO}, /* a folder */
		{{'1', "h", "."}, -EPROTO},
		{{'1', "h", ""}, -EPROTO},
		{{'1', "h", "d/below"}, 0},
		{{'1', "d/below", "d/below"}, 0},
		{{'2', "s", "/etc/passwd"}, 0}, /* for the sandbox to resolve */
		{{'2', "s", "../../../etc"}, 0},
		{{'S', "sparse", "x"}, -ENOTSUP},
		{{'7', "contiguous", ""}, 0},
		{{'4', "disk", ""}, 0},
		{{'V', "volume", ""}, -EPROTO},
		{{'0', long_part, "bad"}, -ENAMETOOLONG},
	};
	size_t i;
	int ret;

	memset(long_part, 'n', sizeof(long_part) - 1);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		ret = unpack_only(ENTRIES(cases[i].entry));
		ck_assert_msg(ret == cases[i].ret, "%c %.40s -> %s: %d %s", cases[i].entry.type,
			      cases[i].entry.name, cases[i].entry.text, ret, err.text);
		ck_assert_msg(faccessat(image.src_fd, "../x", F_OK, 0) < 0 &&
				      faccessat(image.src_fd, "layer0", F_OK, 0) == 0,
			      "%s came out", cases[i].entry.name);
		forged_destroy(&image);
	}
	ck_assert(access("/etc/x", F_OK) < 0);
}
END_TEST

/* Names through links lead where they would in the sandbox: inside. */
START_TEST(links_lead_nowhere_outside)
{
	char outside[] = "/tmp/cordon-outside-XXXXXX", in[128];
	int ret;

	ck_assert_ptr_nonnull(mkdtemp(outside));
	snprintf(in, sizeof(in), "up%s/z", outside);
	/* Not in the tree: refused. */
	ret = unpack_only(ENTRIES({'2', "l", outside}, {'0', "l/x", "bad"}));
	ck_assert_int_lt(ret, 0);
	forged_destroy(&image);
	/* In the tree, under the same name: there. */
	ret = unpack_only(ENTRIES({'5', outside + 1, ""}, {'2', "l", outside}, {'0', "l/x", "in"},
				  {'2', "up", "../../../../../.."}, {'0', in, "in"},
				  {'1', "h", "l/x"}, {'0', "l/.wh.y", ""}));
	ck_assert_msg(ret == 0, "%s", err.text);
	snprintf(in, sizeof(in), "%s/x", outside + 1);
	ck_assert(forged_has(&image, "h", "in"));
	forged_destroy(&image);
	/* A hard link to a link is the link, not what it leads to. */
	ret = unpack_only(ENTRIES({'2', "l", "/etc/passwd"}, {'1', "h", "l"}, {'0', "h", "mine"}));
	ck_assert_msg(ret == 0, "%s", err.text);
	ck_assert(forged_has(&image, "h", "mine"));
	forged_destroy(&image);
	/* A whiteout and an opaque one through a link remove nothing outside. */
	snprintf(in, sizeof(in), "%s/kept", outside);
	close(open(in, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	forged_create(&image);
	add(ENTRIES({'2', "l", outside}), LAYER_PLAIN);
	add(ENTRIES({'0', "l/.wh.kept", ""}, {'0', "l/.wh..wh..opq", ""}), LAYER_PLAIN);
	ck_assert_msg(unpack() == 0, "%s", err.text);
	ck_assert_int_eq(unlink(in), 0);
	forged_destroy(&image);
	/* A loop of links ends. */
	ret = unpack_only(ENTRIES({'2', "l", "m"}, {'2', "m", "l"}, {'0', "l/x", "bad"}));
	ck_assert_int_eq(ret, -ELOOP);
	forged_destroy(&image);
	ck_assert_int_eq(rmdir(outside), 0); /* nothing came there */
}
END_TEST

START_TEST(digests_are_checked)
{
	struct image_layer *first = &image.manifest.layers[0];
	struct digest right;
	unsigned i;

	for (i = 0; i < 5; i++) {
		forged_create(&image);
		add(ENTRIES({'0', "x", "contents"}), i % 2);
		right = first->unpacked;
		if (i == 1)
			first->stored.hex[5] ^= 1;
		if (i == 2)
			first->unpacked.hex[63] ^= 1;
		if (i == 3)
			first->size++;
		if (i == 4)
			first->stored.hex[0] = '\0'; /* as for `docker save` */
		ck_assert_int_eq(unpack(), i == 0 || i == 4 ? 0 : i == 3 ? -EPROTO : -EBADMSG);
		ck_assert(i > 0 || digest_equal(&right, &first->unpacked));
		forged_destroy(&image);
	}
}
END_TEST

START_TEST(limits_hold)
{
	const struct forged_entry *entries = ENTRIES({'0', "a", "1"}, {'0', "b", "2"});
	struct image_limits limits = {.bytes = MIB(1), .entries = 2};
	static char deep[2 * (IMAGE_DEPTH_MAX + 1) + 1];
	unsigned depth;

	forged_create(&image);
	add(entries, LAYER_GZIP);
	ck_assert_msg(unpack_with(&limits) == 0, "%s", err.text);
	limits.entries = 1;
	ck_assert_int_eq(unpack_with(&limits), -EFBIG);
	limits.entries = 2;
	limits.bytes = 4 * TAR_BLOCK + 2 * TAR_BLOCK; /* two files and the end */
	ck_assert_int_eq(unpack_with(&limits), 0);
	limits.bytes--;
	ck_assert_int_eq(unpack_with(&limits), -EFBIG);
	/* Together, not each. */
	limits.bytes = MIB(1);
	add(entries, LAYER_PLAIN);
	ck_assert_int_eq(unpack_with(&limits), -EFBIG);
	limits.entries = 4;
	ck_assert_int_eq(unpack_with(&limits), 0);
	forged_destroy(&image);
	for (depth = IMAGE_DEPTH_MAX; depth <= IMAGE_DEPTH_MAX + 1; depth++) {
		deep[0] = '\0';
		while (strlen(deep) < 2 * depth - 1)
			strcat(deep, deep[0] ? "/n" : "n");
		ck_assert_int_eq(unpack_only(ENTRIES({'0', deep, "x"})),
				 depth > IMAGE_DEPTH_MAX ? -ENAMETOOLONG : 0);
		forged_destroy(&image);
	}
}
END_TEST

/* n names of one letter, with what follows. */
static void chain(char *to, const char *before, char letter, unsigned n, const char *after)
{
	to += sprintf(to, "%s", before);
	while (n-- > 0)
		to += sprintf(to, "%c/", letter);
	strcpy(to, after);
}

/* A link leads deep, and names through it deeper. */
START_TEST(links_do_not_make_directories_deeper)
{
	char deep[512], link[512], beyond[512];
	unsigned more;

	for (more = IMAGE_DEPTH_MAX / 2; more <= IMAGE_DEPTH_MAX / 2 + 1; more++) {
		chain(deep, "", 'n', IMAGE_DEPTH_MAX / 2, "file");
		chain(link, "", 'n', IMAGE_DEPTH_MAX / 2, ".");
		chain(beyond, "s/", 'm', more, "file");
		ck_assert_int_eq(unpack_only(ENTRIES({'0', deep, "x"}, {'2', "s", link},
						     {'0', beyond, "y"})),
				 more > IMAGE_DEPTH_MAX / 2 ? -ENAMETOOLONG : 0);
		forged_destroy(&image);
		/* As folders of their own. */
		chain(beyond, "s/", 'm', more - 1, "m");
		ck_assert_int_eq(
			unpack_only(ENTRIES({'0', deep, "x"}, {'2', "s", link}, {'5', beyond, ""})),
			more > IMAGE_DEPTH_MAX / 2 ? -ENAMETOOLONG : 0);
		forged_destroy(&image);
	}
}
END_TEST

/* So many zeros, as gzip or zstd; their length so packed. */
static size_t pack_zeros(enum layer_kind kind, size_t total, uint8_t *out, size_t room)
{
	uint8_t *zeros = calloc(1, total);
	z_stream zlib = {.next_in = zeros,
			 .avail_in = (uInt)total,
			 .next_out = out,
			 .avail_out = (uInt)room};
	size_t length;

	ck_assert_ptr_nonnull(zeros);
	if (kind == LAYER_ZSTD) {
		length = ZSTD_compress(out, room, zeros, total, 3);
		ck_assert(!ZSTD_isError(length));
	} else {
		ck_assert_int_eq(deflateInit2(&zlib, 6, Z_DEFLATED, 31, 9, Z_DEFAULT_STRATEGY),
				 Z_OK);
		ck_assert_int_eq(deflate(&zlib, Z_FINISH), Z_STREAM_END);
		length = room - zlib.avail_out;
		deflateEnd(&zlib);
	}
	free(zeros);
	return length;
}

/* Reads a layer's stream to its end: the last layer_read()'s answer. *sum: of its bytes. */
static ssize_t read_all(const void *bytes, size_t length, struct digest *sum)
{
	static struct layer stream;
	static uint8_t out[1 << 20];
	struct image_blob blob = {.size = length};
	struct sha256_ctx context;
	ssize_t n;

	forged_write(&image, "stream", bytes, length);
	blob.fd = openat(image.src_fd, "stream", O_RDONLY | O_CLOEXEC);
	sha256_init(&context);
	n = layer_open(&stream, &blob, GIB(1), &err);
	while (n == 0 && (n = layer_read(&stream, out, sizeof(out), &err)) > 0) {
		sha256_update(&context, (size_t)n, out);
		n = 0;
		if (stream.ended)
			break;
	}
	digest_finish(sum, &context);
	layer_close(&stream);
	close(blob.fd);
	return n;
}

/* Zeros compress a thousand times: far more than any program or text. */
START_TEST(a_bomb_is_refused)
{
	static uint8_t out[1 << 20];
	uint8_t *zeros = calloc(1, LAYER_SLACK);
	struct digest sum, wanted;
	size_t length;
	int kind;

	ck_assert_ptr_nonnull(zeros);
	forged_create(&image);
	digest_of(&wanted, zeros, LAYER_SLACK);
	for (kind = LAYER_GZIP; kind <= LAYER_ZSTD; kind++) {
		length = pack_zeros((enum layer_kind)kind, LAYER_SLACK, out, sizeof(out));
		ck_assert_int_eq(read_all(out, length, &sum), 0);
		ck_assert(digest_equal(&sum, &wanted));
		length = pack_zeros((enum layer_kind)kind, LAYER_SLACK + MIB(16), out, sizeof(out));
		ck_assert_int_eq(read_all(out, length, &sum), -EFBIG);
	}
	free(zeros);
	forged_destroy(&image);
}
END_TEST

/* Cut anywhere, or with a bit flipped: an error. Several members (frames of zstd) are one stream.
 */
START_TEST(damaged_layers_are_refused)
{
	static struct forged_layer whole, copy;
	size_t at, step;
	int pass;

	for (pass = 0; pass <= LAYER_ZSTD; pass++) {
		forged_create(&image);
		forged_layer(&layer, ENTRIES({'5', "d", ""}, {'0', "d/x", "some contents"},
					     {'2', "l", "d/x"}));
		forged_add(&image, &layer, (enum layer_kind)pass);
		whole = layer;
		step = whole.length / 97 + 1;
		for (at = 0; at < whole.length; at += step) {
			copy = whole;
			copy.bytes[at] ^= 0x10;
			forged_write(&image, "layer0", copy.bytes, copy.length);
			ck_assert_msg(unpack() < 0, "byte %zu", at);
			forged_write(&image, "layer0", whole.bytes, at);
			ck_assert_msg(unpack() < 0, "cut at %zu", at);
			image.manifest.layers[0].size = at;
			ck_assert_msg(unpack() < 0, "cut and told so, at %zu", at);
			image.manifest.layers[0].size = whole.length;
		}
		forged_write(&image, "layer0", whole.bytes, whole.length);
		ck_assert_msg(unpack() == 0, "%s", err.text);
		forged_destroy(&image);
	}
}
END_TEST

static void members(enum layer_kind kind)
{
	static struct forged_layer first, second;
	struct image_layer *only = &image.manifest.layers[0];

	forged_create(&image);
	forged_layer(&layer, ENTRIES({'0', "a", "1"}));
	digest_of(&only->unpacked, layer.bytes, layer.length);
	memcpy(first.bytes, layer.bytes, 700);
	first.length = 700;
	second.length = layer.length - 700;
	memcpy(second.bytes, layer.bytes + 700, second.length);
	forged_compress(&first, kind);
	forged_compress(&second, kind);
	memcpy(first.bytes + first.length, second.bytes, second.length);
	first.length += second.length;
	forged_write(&image, "both", first.bytes, first.length);
	strcpy(only->file, "both");
	image.manifest.layer_count = 1;
	ck_assert_msg(unpack() == 0, "%s", err.text);
	ck_assert(forged_has(&image, "a", "1"));
	/* What follows and is no member is refused. */
	first.bytes[first.length++] = 'x';
	forged_write(&image, "both", first.bytes, first.length);
	ck_assert_int_eq(unpack(), -EPROTO);
}

START_TEST(members_follow_each_other)
{
	members(LAYER_GZIP);
	/* So are kinds that can't be read. */
	forged_write(&image, "both", "BZh91AY", 7);
	ck_assert_int_eq(unpack(), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(err.text, "bzip2"));
	forged_destroy(&image);
	members(LAYER_ZSTD);
	forged_destroy(&image);
}
END_TEST

/* A frame's header with a window of 2^log bytes (RFC 8878, 3.1.1.1), and an empty last block. */
static size_t zstd_frame(uint8_t *to, unsigned log)
{
	store_le32(to, ZSTD_MAGICNUMBER);
	to[4] = 0; /* no checksum, no size, a window descriptor */
	to[5] = (uint8_t)((log - 10) << 3);
	memcpy(to + 6, "\x01\x00\x00", 3);
	return 9;
}

/* A stream says how much memory it takes to read it. */
START_TEST(zstd_asks_for_bounded_memory)
{
	uint8_t frame[16];
	struct digest sum;
	unsigned log;

	forged_create(&image);
	for (log = 10; log <= 41; log++)
		ck_assert_int_eq(read_all(frame, zstd_frame(frame, log), &sum),
				 log <= LAYER_WINDOW_LOG ? 0 : -EFBIG);
	ck_assert_ptr_nonnull(strstr(err.text, "128 MiB"));
	forged_destroy(&image);
}
END_TEST

/* Frames that are to be skipped may stand anywhere; one that is cut is no end. */
START_TEST(zstd_frames_are_skipped_whole)
{
	uint8_t bytes[64];
	struct digest sum, wanted;
	size_t length, cut;

	forged_create(&image);
	digest_of(&wanted, "text", 4);
	store_le32(bytes, ZSTD_MAGIC_SKIPPABLE_START + 7);
	store_le32(bytes + 4, 3);
	memcpy(bytes + 8, "abc", 3);
	length = 11 + ZSTD_compress(bytes + 11, sizeof(bytes) - 22, "text", 4, 3);
	memcpy(bytes + length, bytes, 11);
	ck_assert_int_eq(read_all(bytes, length + 11, &sum), 0);
	ck_assert(digest_equal(&sum, &wanted));
	for (cut = 4; cut < length + 11; cut++)
		ck_assert_msg(read_all(bytes, cut, &sum) ==
				      (cut == 11 || cut == length ? 0 : -EPROTO),
			      "cut at %zu", cut);
	store_le32(bytes + 4, UINT32_MAX);
	ck_assert_int_eq(read_all(bytes, length, &sum), -EPROTO);
	forged_destroy(&image);
}
END_TEST

UNIT_MAIN("image", layers_lie_one_over_the_other, owners_are_noted,
	  whiteouts_hide_what_is_below_and_nothing_else, entries_that_climb_out_are_refused,
	  links_lead_nowhere_outside, digests_are_checked, limits_hold,
	  links_do_not_make_directories_deeper, a_bomb_is_refused, damaged_layers_are_refused,
	  members_follow_each_other, zstd_asks_for_bounded_memory, zstd_frames_are_skipped_whole)
