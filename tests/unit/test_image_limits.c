/* SPDX-License-Identifier: Apache-2.0 */
/* Layers over their limits, damaged layers, compressed members. */
#include "vmm/image/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/forged_image.h"
#include "tests/support/unit.h"
#include "vmm/base/fd.h"
#include "vmm/image/layer.h"
#include "vmm/image/stage.h"
#include "vmm/image/tar.h"
#include "tests/unit/image_common.h"

START_TEST(limits_hold)
{
	const struct forged_entry *entries = ENTRIES({'0', "a", "1"}, {'0', "b", "2"});
	struct image_limits limits = {.bytes = MIB(1), .entries = 2};
	static char deep[2 * (IMAGE_DEPTH_MAX + 1) + 1];
	unsigned depth;

	forged_create(&image);
	add(entries, COMPRESSION_GZIP);
	ck_assert_msg(unpack_with(&limits) == 0, "%s", why.text);
	limits.entries = 1;
	ck_assert_int_eq(unpack_with(&limits), -EFBIG);
	limits.entries = 2;
	limits.bytes = 4 * TAR_BLOCK + 2 * TAR_BLOCK; /* two files and the end */
	ck_assert_int_eq(unpack_with(&limits), 0);
	limits.bytes--;
	ck_assert_int_eq(unpack_with(&limits), -EFBIG);
	/* Together, not each. */
	limits.bytes = MIB(1);
	add(entries, COMPRESSION_NONE);
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
		/* As separate directories. */
		chain(beyond, "s/", 'm', more - 1, "m");
		ck_assert_int_eq(
			unpack_only(ENTRIES({'0', deep, "x"}, {'2', "s", link}, {'5', beyond, ""})),
			more > IMAGE_DEPTH_MAX / 2 ? -ENAMETOOLONG : 0);
		forged_destroy(&image);
	}
}
END_TEST

/* So many zeros, as gzip or zstd; their length so packed. */
static size_t pack_zeros(enum compression kind, size_t total, uint8_t *out, size_t room)
{
	uint8_t *zeros = calloc(1, total);
	z_stream zlib = {.next_in = zeros,
			 .avail_in = (uInt)total,
			 .next_out = out,
			 .avail_out = (uInt)room};
	size_t length;

	ck_assert_ptr_nonnull(zeros);
	if (kind == COMPRESSION_ZSTD) {
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

/* Reads a layer's stream to its end; returns what the last layer_read() did. *sum: of its bytes. */
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
	n = layer_open(&stream, &blob, GIB(1), &why);
	while (n == 0 && (n = layer_read(&stream, out, sizeof(out), &why)) > 0) {
		sha256_update(&context, (size_t)n, out);
		n = 0;
		if (stream.stream.ended)
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
	uint8_t *zeros = calloc(1, DECOMPRESS_SLACK);
	struct digest sum, wanted;
	size_t length;
	int kind;

	ck_assert_ptr_nonnull(zeros);
	forged_create(&image);
	digest_of(&wanted, zeros, DECOMPRESS_SLACK);
	for (kind = COMPRESSION_GZIP; kind <= COMPRESSION_ZSTD; kind++) {
		length = pack_zeros((enum compression)kind, DECOMPRESS_SLACK, out, sizeof(out));
		ck_assert_int_eq(read_all(out, length, &sum), 0);
		ck_assert(digest_equal(&sum, &wanted));
		length = pack_zeros((enum compression)kind, DECOMPRESS_SLACK + MIB(16), out,
				    sizeof(out));
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

	for (pass = 0; pass <= COMPRESSION_ZSTD; pass++) {
		forged_create(&image);
		forged_layer(&layer, ENTRIES({'5', "d", ""}, {'0', "d/x", "some contents"},
					     {'2', "l", "d/x"}));
		forged_add(&image, &layer, (enum compression)pass);
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
		ck_assert_msg(unpack() == 0, "%s", why.text);
		forged_destroy(&image);
	}
}
END_TEST

static void members(enum compression kind)
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
	ck_assert_msg(unpack() == 0, "%s", why.text);
	ck_assert(forged_has(&image, "a", "1"));
	/* Zeros to the end are no member, and ignored where gzip(1) ignores them. */
	first.bytes[first.length++] = '\0';
	forged_write(&image, "both", first.bytes, first.length);
	ck_assert_int_eq(unpack(), kind == COMPRESSION_GZIP ? 0 : -EPROTO);
	/* What follows and is no member is refused. */
	first.bytes[first.length++] = 'x';
	forged_write(&image, "both", first.bytes, first.length);
	ck_assert_int_eq(unpack(), -EPROTO);
}

START_TEST(members_follow_each_other)
{
	members(COMPRESSION_GZIP);
	/* So are kinds that can't be read. */
	forged_write(&image, "both", "BZh91AY", 7);
	ck_assert_int_eq(unpack(), -ENOTSUP);
	ck_assert_ptr_nonnull(strstr(why.text, "bzip2"));
	forged_destroy(&image);
	members(COMPRESSION_ZSTD);
	forged_destroy(&image);
}
END_TEST

/* What image_stage() says to a gzip stream, followed by zeros and a last byte. */
static int stage_padded(off_t zeros, int last)
{
	int fd = openat(image.src_fd, "padded", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), ret;
	uint8_t byte = (uint8_t)last;

	ck_assert_int_eq(fd_write_full(fd, layer.bytes, layer.length), 0);
	ck_assert_int_eq(ftruncate(fd, (off_t)layer.length + zeros), 0);
	ck_assert_int_eq(pwrite(fd, &byte, 1, (off_t)layer.length + zeros), 1);
	ck_assert_int_eq(lseek(fd, 0, SEEK_SET), 0);
	why.text[0] = '\0';
	ret = image_stage(fd, "padded", &why);
	close(fd);
	if (ret < 0)
		return ret;
	close(ret);
	return 0;
}

START_TEST(zeros_may_follow_a_gzip_stream)
{
	static const off_t zeros[] = {0, 511, 65535, 65536, DECOMPRESS_PADDING - 1};
	size_t i;

	forged_create(&image);
	setenv("XDG_CACHE_HOME", image.base, 1);
	forged_layer(&layer, ENTRIES({'0', "x", "contents"}));
	forged_compress(&layer, COMPRESSION_GZIP);
	for (i = 0; i < ARRAY_SIZE(zeros); i++) {
		ck_assert_msg(stage_padded(zeros[i], '\0') == 0, "%zu: %s", i, why.text);
		ck_assert_int_eq(stage_padded(zeros[i], 'x'), -EPROTO);
		ck_assert(i == 0 || strstr(why.text, "damaged"));
	}
	ck_assert_int_eq(stage_padded(DECOMPRESS_PADDING, '\0'), -EPROTO);
	/* Nor does gzip(1) take another member behind them. */
	ck_assert_int_eq(stage_padded(7, '\x1f'), -EPROTO);
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
START_TEST(zstd_uses_bounded_memory)
{
	uint8_t frame[16];
	struct digest sum;
	unsigned log;

	forged_create(&image);
	for (log = 10; log <= 41; log++)
		ck_assert_int_eq(read_all(frame, zstd_frame(frame, log), &sum),
				 log <= DECOMPRESS_WINDOW_LOG ? 0 : -EFBIG);
	ck_assert_ptr_nonnull(strstr(why.text, "128 MiB"));
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

UNIT_MAIN("image_limits", limits_hold, links_do_not_make_directories_deeper, a_bomb_is_refused,
	  damaged_layers_are_refused, members_follow_each_other, zeros_may_follow_a_gzip_stream,
	  zstd_uses_bounded_memory, zstd_frames_are_skipped_whole)
