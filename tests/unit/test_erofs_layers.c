/* SPDX-License-Identifier: Apache-2.0 */
/* Layers unpacked to an erofs image, beside the same layers unpacked to a directory. */
#include "tests/unit/image_common.h"

#include <sys/mman.h>

#include "tests/support/erofs_image.h"

static int fd = -1;
static struct erofs_image made;

static int convert_with(const struct image_limits *limits)
{
	struct image_source source;
	char path[128];
	int ret;

	fd = memfd_create("erofs", MFD_CLOEXEC);
	snprintf(path, sizeof(path), "%s/src", image.base);
	why.text[0] = '\0';
	ret = image_source_open(&source, path, &why);
	if (ret == 0)
		ret = image_unpack_erofs(&image.manifest, &source, fd, limits, &counts, &why);
	image_source_close(&source);
	ck_assert_msg(ret == 0 || why.text[0], "an error without a message");
	return ret;
}

static int convert(void)
{
	int ret = convert_with(&image_limits_default);
	const char *wrong;

	if (ret == 0) {
		ck_assert(erofs_image_open(&made, fd));
		wrong = erofs_image_check(&made);
		ck_assert_msg(!wrong, "%s", wrong);
	}
	return ret;
}

static void done(void)
{
	erofs_image_close(&made);
	fd_close(&fd);
}

static struct erofs_found found(const char *path)
{
	struct erofs_found at;

	ck_assert_msg(erofs_image_find(&made, path, &at), "%s is missing", path);
	return at;
}

/* Unpacks to both, and compares. */
static void compare(void)
{
	const char *differs;

	ck_assert_msg(unpack() == 0, "%s", why.text);
	ck_assert_msg(convert() == 0, "%s", why.text);
	differs = erofs_image_compare(&made, image.out_fd);
	ck_assert_msg(!differs, "%s differs", differs);
	done();
}

START_TEST(layers_make_the_same_tree)
{
	forged_create(&image);
	add(ENTRIES({'5', "./", ""}, {'5', "./etc/", ""}, {'0', "./etc/a", "a0"},
		    {'0', "etc/b", "b0"}, {'0', "@4751 etc/mode", "m"}, {'5', "@1777 tmp", ""},
		    {'0', "kind", "a file"}, {'5', "tree", ""}, {'0', "tree/in", "in"},
		    {'5', "@555 closed", ""}, {'2', "link", "etc/a"}, {'2', "usr", "./tree"},
		    {'0', "usr/through", "a link"}, {'1', "hard", "usr/through"}),
	    COMPRESSION_NONE);
	add(ENTRIES({'0', "etc/a", "a1"}, {'0', "new/share/new", "new"}, {'1', "hard", "./etc/b"},
		    {'5', "kind", ""}, {'0', "kind/in", "in it"}, {'0', "closed/in", "later"},
		    {'0', "link", "no link any more"}, {'0', "new/.wh.nothing", ""}),
	    COMPRESSION_GZIP);
	add(ENTRIES({'0', "etc/.wh.a", ""}, {'0', "tree/new", "1"}, {'0', "usr/.wh..wh..opq", ""},
		    {'0', ".wh.kind", ""}, {'5', "kind", ""}, {'0', "kind/own", "1"},
		    {'0', ".wh..wh.plnk", ""}, {'1', "kind/hard", "hard"}),
	    COMPRESSION_ZSTD);
	compare();
	forged_destroy(&image);
}
END_TEST

START_TEST(everything_of_an_entry_is_kept)
{
	forged_create(&image);
	add(ENTRIES({'0', "@6755:1234 file", "f"}, {'5', "@3777:99999 directory", ""},
		    {'3', "@620:5 tty", ""}, {'4', "@660 disk", ""}, {'6', "@600 pipe", ""},
		    {'1', "disk2", "disk"}, {'2', "@777:7 link", "file"}),
	    COMPRESSION_NONE);
	ck_assert_msg(convert() == 0, "%s", why.text);
	ck_assert_uint_eq(counts.entries, 7);
	ck_assert_uint_eq(counts.owned, 4);
	ck_assert_uint_eq(found("file").mode, S_IFREG | 06755);
	ck_assert(found("file").uid == 1234 && found("file").mtime == 1000000000);
	ck_assert_uint_eq(found("directory").mode, S_IFDIR | 03777);
	ck_assert_uint_eq(found("directory").uid, 99999);
	ck_assert_uint_eq(found("tty").mode, S_IFCHR | 0620);
	ck_assert_uint_eq(found("disk").mode, S_IFBLK | 0660);
	ck_assert_uint_eq(found("disk").links, 2);
	ck_assert_uint_eq(found("pipe").mode, S_IFIFO | 0600);
	ck_assert_uint_eq(found("link").uid, 7);
	done();
	forged_destroy(&image);
}
END_TEST

START_TEST(a_later_layer_decides_about_the_owner)
{
	forged_create(&image);
	add(ENTRIES({'0', "@644:5 file", "f"}, {'5', "@755:6 directory", ""},
		    {'0', "@644:7 stays", "s"}),
	    COMPRESSION_NONE);
	add(ENTRIES({'0', "file", "root's"}, {'5', "directory", ""}), COMPRESSION_NONE);
	ck_assert_msg(convert() == 0, "%s", why.text);
	ck_assert_uint_eq(counts.owned, 3);
	ck_assert_uint_eq(found("file").uid, 0);
	ck_assert_uint_eq(found("directory").uid, 0);
	ck_assert_uint_eq(found("stays").uid, 7);
	done();
	forged_destroy(&image);
}
END_TEST

/* What one sink refuses, the other refuses with the same error. */
START_TEST(hostile_entries_are_refused_alike)
{
	static char long_part[300], deep[2 * IMAGE_DEPTH_MAX], deeper[2 * IMAGE_DEPTH_MAX + 2];
	const struct forged_entry *const cases[] = {
		ENTRIES({'0', "/etc/x", "ok"}),
		ENTRIES({'0', "/d/x", "ok"}, {'1', "/h", "/d/x"}),
		ENTRIES({'0', "../x", "bad"}),
		ENTRIES({'0', "d/../x", "bad"}),
		ENTRIES({'0', "./d/./x//y", "ok"}),
		ENTRIES({'0', ".", "bad"}),
		ENTRIES({'0', "d/.wh...", ""}),
		ENTRIES({'0', "d/.wh.below/x", ""}),
		ENTRIES({'1', "h", "/etc/passwd"}),
		ENTRIES({'1', "h", "d/none"}),
		ENTRIES({'1', "h", "none/none"}),
		ENTRIES({'1', "h", "d"}),
		ENTRIES({'1', "h", "d/below"}),
		ENTRIES({'1', "d/below", "d/below"}),
		ENTRIES({'1', "d", "d/below"}),
		ENTRIES({'S', "sparse", "x"}),
		ENTRIES({'V', "volume", ""}),
		ENTRIES({'2', "s", ""}),
		ENTRIES({'0', long_part, "bad"}),
		ENTRIES({'0', deep, "ok"}),
		ENTRIES({'0', deeper, "bad"}),
		ENTRIES({'0', "d/below/x", "bad"}),
		ENTRIES({'2', "l", "m"}, {'2', "m", "l"}, {'0', "l/x", "bad"}),
		ENTRIES({'2', "l", "none"}, {'0', "l/x", "bad"}),
		ENTRIES({'2', "l", "none"}, {'0', "l/.wh.x", "ok"}),
		ENTRIES({'2', "l", "../../.."}, {'0', "l/x", "ok"}),
		ENTRIES({'2', "l", "/d"}, {'0', "l/x/y", "ok"}, {'1', "h", "l/below"}),
		ENTRIES({'2', "l", "d"}, {'0', "l/.wh..wh..opq", "ok"}),
		ENTRIES({'2', "l", "/etc/passwd"}, {'1', "h", "l"}, {'0', "h", "mine"}),
		ENTRIES({'0', "f", "x"}, {'5', "f", ""}, {'0', "f", "y"}, {'5', "f", ""}),
	};
	size_t i;
	int tree, erofs;

	memset(long_part, 'n', sizeof(long_part) - 1);
	for (i = 0; i < IMAGE_DEPTH_MAX; i++)
		strcat(deep, i ? "/n" : "n");
	strcpy(deeper, deep);
	strcat(deeper, "/n");
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		tree = unpack_only(cases[i]);
		erofs = convert();
		/* The host refuses an empty link with its own error. */
		ck_assert_msg(tree == erofs || (cases[i]->type == '2' && tree < 0 && erofs < 0),
			      "%c %.40s: %d, %d %s", cases[i]->type, cases[i]->name, tree, erofs,
			      why.text);
		if (tree == 0)
			ck_assert_ptr_null(erofs_image_compare(&made, image.out_fd));
		done();
		forged_destroy(&image);
	}
}
END_TEST

START_TEST(limits_hold)
{
	struct image_limits limits = {.bytes = MIB(1), .entries = 2};

	forged_create(&image);
	add(ENTRIES({'0', "a", "1"}, {'0', "b", "2"}), COMPRESSION_GZIP);
	ck_assert_int_eq(convert_with(&limits), 0);
	done();
	limits.entries = 1;
	ck_assert_int_eq(convert_with(&limits), -EFBIG);
	done();
	limits = (struct image_limits){.bytes = 6 * TAR_BLOCK, .entries = 2};
	ck_assert_int_eq(convert_with(&limits), 0);
	done();
	limits.bytes--;
	ck_assert_int_eq(convert_with(&limits), -EFBIG);
	done();
	image.manifest.layers[0].unpacked.hex[3] ^= 1;
	ck_assert_int_eq(convert(), -EBADMSG);
	done();
	forged_destroy(&image);
}
END_TEST

/* A layer of one sparse file without data, in GNU tar's old format. */
static void add_hole(uint64_t size)
{
	char *header = (char *)layer.bytes;
	unsigned sum = 0, i;

	memset(layer.bytes, 0, 3 * TAR_BLOCK);
	strcpy(header, "hole");
	strcpy(header + 100, "0000644");
	header[156] = 'S';
	memcpy(header + 257, "ustar  ", 8);
	snprintf(header + 483, 13, "%012llo", (unsigned long long)size);
	header[495] = '\0';
	memset(header + 148, ' ', 8);
	for (i = 0; i < TAR_BLOCK; i++)
		sum += (uint8_t)header[i];
	snprintf(header + 148, 8, "%06o", sum);
	layer.length = 3 * TAR_BLOCK;
	forged_add(&image, &layer, COMPRESSION_NONE);
}

START_TEST(holes_count_as_bytes)
{
	const uint64_t size = MIB(100);
	struct image_limits limits = {.bytes = 0, .entries = 10};
	unsigned layers;

	for (layers = 1; layers <= 3; layers++) {
		forged_create(&image);
		while (image.manifest.layer_count < layers)
			add_hole(size);
		limits.bytes = layers * (size + 3 * TAR_BLOCK);
		ck_assert_msg(unpack_with(&limits) == 0, "%s", why.text);
		ck_assert_uint_eq(counts.bytes, limits.bytes);
		ck_assert_msg(convert_with(&limits) == 0, "%s", why.text);
		done();
		limits.bytes--;
		ck_assert_int_eq(unpack_with(&limits), -EFBIG);
		ck_assert_int_eq(convert_with(&limits), -EFBIG);
		done();
		forged_destroy(&image);
	}
	forged_create(&image);
	add_hole(size);
	compare();
	forged_destroy(&image);
	/* A size that no limit allows. */
	forged_create(&image);
	add_hole(077777777777);
	limits.bytes = GIB(8);
	ck_assert_int_eq(convert_with(&limits), -EFBIG);
	done();
	forged_destroy(&image);
}
END_TEST

/* Many entries that each lead through a link of 300 components: 64 steps an entry, and a million.
 */
START_TEST(long_ways_are_bounded)
{
	static struct forged_entry entries[101];
	static char target[1000];
	struct image_limits limits = {.bytes = MIB(64), .entries = 20000};
	unsigned i, layers;
	int ret;

	for (i = 0; i < 100; i++)
		strcat(target, "../d/../");
	entries[0] = (struct forged_entry){'5', "d", ""};
	entries[1] = (struct forged_entry){'2', "s", target};
	for (i = 2; i < 100; i++)
		entries[i] = (struct forged_entry){'0', "s/f", ""};
	forged_layer(&layer, entries);
	/* 98 * 301 steps a layer; the limits allow 2 328 576: 78 layers. */
	for (layers = 78; layers <= 79; layers++) {
		forged_create(&image);
		for (i = 0; i < layers; i++)
			forged_add(&image, &layer, COMPRESSION_NONE);
		ret = convert_with(&limits);
		ck_assert_msg(ret == (layers > 78 ? -EFBIG : 0), "%d: %s", ret, why.text);
		done();
		forged_destroy(&image);
	}
}
END_TEST

START_TEST(the_same_layers_give_the_same_bytes)
{
	static uint8_t first[MIB(1)];
	size_t length;

	forged_create(&image);
	strcpy(image.manifest.id.hex, "0123456789abcdef");
	add(ENTRIES({'0', "a/b", "1"}, {'0', "c", "2"}, {'2', "l", "c"}), COMPRESSION_GZIP);
	ck_assert_int_eq(convert(), 0);
	ck_assert_uint_eq(made.super.uuid[6] >> 4, 8);
	length = made.length;
	memcpy(first, made.bytes, length);
	done();
	ck_assert_int_eq(convert(), 0);
	ck_assert(made.length == length && memcmp(first, made.bytes, length) == 0);
	done();
	/* Another image, another UUID. */
	image.manifest.id.hex[0] = 'f';
	ck_assert_int_eq(convert(), 0);
	ck_assert(made.length == length && memcmp(first, made.bytes, length) != 0);
	done();
	forged_destroy(&image);
}
END_TEST

/* What a runtime owes: directories that the configuration names and no layer has. */
START_TEST(directories_of_the_configuration_are_made)
{
	forged_create(&image);
	add(ENTRIES({'5', "@700:7 here", ""}, {'0', "file", "f"}, {'2', "link", "/here"},
		    {'2', "lost", "none"}),
	    COMPRESSION_NONE);
	image.manifest.settings =
		json_pack("{s:s,s:[s,s,s,s,s,s]}", "workdir", "/srv/app", "volumes", "/here",
			  "/link/in/", "/file/x", "/lost/x", "relative", "/../up");
	ck_assert_msg(convert() == 0, "%s", why.text);
	ck_assert_uint_eq(found("srv/app").mode, S_IFDIR | 0755);
	ck_assert(found("srv/app").uid == 0 && found("srv/app").mtime == 0);
	ck_assert(found("here").mode == (S_IFDIR | 0700) && found("here").uid == 7);
	ck_assert_uint_eq(found("here/in").mode, S_IFDIR | 0755);
	ck_assert_uint_eq(found("up").mode, S_IFDIR | 0755);
	ck_assert_uint_eq(found("file").mode, S_IFREG | 0644);
	ck_assert(!erofs_image_find(&made, "none", &(struct erofs_found){0}));
	ck_assert(!erofs_image_find(&made, "relative", &(struct erofs_found){0}));
	done();
	forged_destroy(&image);
}
END_TEST

/* A layer without empty blocks, without padding, without a byte: its digest says that it is whole.
 */
START_TEST(layers_end_where_their_digest_says)
{
	static const size_t kept[] = {0, 512, 512 + 2, 1024, 1024 + 512, 1024 + 512 + 2, 2048};
	struct forged_entry entries[] = {{'0', "a", "1\n"}, {'0', "b", "2\n"}, {.type = 0}};
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(kept); i++) {
		forged_create(&image);
		forged_layer(&layer, entries);
		layer.length = kept[i];
		forged_add(&image, &layer, i % 2 ? COMPRESSION_GZIP : COMPRESSION_NONE);
		ret = convert();
		/* Cut in the contents of an entry, it is still damaged. */
		ck_assert_msg((ret == 0) == (kept[i] % 1024 != 512), "%zu: %s", kept[i], why.text);
		if (ret == 0)
			ck_assert_uint_eq(counts.entries, (kept[i] + 1023) / 1024);
		done();
		forged_destroy(&image);
	}
}
END_TEST

UNIT_MAIN("erofs layers", layers_make_the_same_tree, everything_of_an_entry_is_kept,
	  a_later_layer_decides_about_the_owner, hostile_entries_are_refused_alike, limits_hold,
	  holes_count_as_bytes, long_ways_are_bounded, the_same_layers_give_the_same_bytes,
	  directories_of_the_configuration_are_made, layers_end_where_their_digest_says)
