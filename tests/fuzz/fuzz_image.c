/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images: layers of valid and hostile entries, plain or gzip, some bytes changed, unpacked one over
 * the other; descriptions with some bytes changed; and archives of root file systems. No file may
 * appear outside of the tree, none in it may be a device or have set-id bits, and a refusal must
 * have a message. The same layers as an erofs image must be the same tree.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/erofs_image.h"
#include "tests/support/forged_image.h"
#include "tests/support/image_tree.h"
#include "vmm/base/fd.h"
#include "vmm/image/unpack.h"

#define CONFIG "{\"os\":\"linux\",\"architecture\":\"amd64\",\"config\":{\"Env\":[\"A=b\"]}}"

static struct forged_image image;

static const char *some_name(struct fuzz_script *script)
{
	static const char *const names[] = {
		"a",	 "a/b",	   "a/b/c",    "d",	   "a/.wh.b", "d/.wh..wh..opq", ".wh.a",
		"../x",	 "a/../x", "/x",       "l",	   "l/x",     "l/../../x",	".",
		"./a//", "",	   ".wh...",   "a/l/b",	   "@4755 d", "@0 a",		"@1777 a/b",
		"l/l/l", "..",	   ".wh..wh.", "d/.wh./x",
	};

	return names[fuzz_below(script, ARRAY_SIZE(names))];
}

/* root: it begins as a root file system does. */
static void make_layer(struct fuzz_script *script, struct forged_layer *layer, bool root)
{
	static const char types[] = "00002215555136S7Vgx";
	static const char *const links[] = {"a", "..", "../../..", "/", "a/b", "/etc", ".", "l"};
	struct forged_entry entries[13] = {{'5', "etc/", ""}};
	unsigned i, first = root ? 1 : 0;
	unsigned count = first + 1 + fuzz_below(script, ARRAY_SIZE(entries) - 2);

	for (i = first; i < count; i++) {
		entries[i].type = types[fuzz_below(script, sizeof(types) - 1)];
		entries[i].name = some_name(script);
		entries[i].text = entries[i].type == '2' || entries[i].type == '1'
					  ? links[fuzz_below(script, ARRAY_SIZE(links))]
					  : "16 path=a/b/new\n";
	}
	forged_layer(layer, entries);
	/*
	 * Before the digests are computed, so that the unpacker and not a digest finds the fault.
	 */
	for (i = fuzz_below(script, 4); i > 0; i--)
		layer->bytes[fuzz_number(script, 2) % layer->length] =
			(uint8_t)fuzz_number(script, 1);
}

static void add_layer(struct fuzz_script *script)
{
	static struct forged_layer layer;

	make_layer(script, &layer, false);
	forged_add(&image, &layer, (enum compression)fuzz_below(script, 3));
}

static int look(const char *path, const struct stat *status, int kind, struct FTW *at)
{
	(void)path;
	(void)kind;
	FUZZ_REQUIRE(S_ISREG(status->st_mode) || S_ISDIR(status->st_mode) ||
		     S_ISLNK(status->st_mode));
	FUZZ_REQUIRE((status->st_mode & (S_ISUID | S_ISGID)) == 0);
	FUZZ_REQUIRE(at->level <= IMAGE_DEPTH_MAX + 2);
	return 0;
}

/* Next to the tree there are only our own files. */
static void check_outside(void)
{
	FUZZ_REQUIRE(faccessat(image.out_fd, "../x", F_OK, AT_SYMLINK_NOFOLLOW) < 0);
	FUZZ_REQUIRE(faccessat(image.out_fd, "../src/layer0", F_OK, 0) == 0);
	FUZZ_REQUIRE(access("/x", F_OK) < 0);
}

static const struct image_limits limits = {.bytes = MIB(1), .entries = 30};

/* tree: what unpacking to files gave. A tree has no devices and pipes, nor what links to them. */
static void unpack_erofs(const struct image_manifest *manifest, const struct image_source *source,
			 int tree, bool left_out)
{
	struct erofs_image made = {.bytes = NULL};
	struct image_counts counts;
	struct err err = {.text = ""};
	int fd = memfd_create("erofs", MFD_CLOEXEC);
	int ret = image_unpack_erofs(manifest, source, fd, &limits, &counts, &err);

	FUZZ_REQUIRE(ret == 0 || err.text[0]);
	FUZZ_REQUIRE(left_out || (ret == 0) == (tree == 0));
	if (ret == 0) {
		FUZZ_REQUIRE(erofs_image_open(&made, fd) && !erofs_image_check(&made));
		FUZZ_REQUIRE(left_out || !erofs_image_compare(&made, image.out_fd));
	}
	erofs_image_close(&made);
	close(fd);
}

static void unpack(const struct image_manifest *manifest, const struct image_source *source)
{
	struct image_counts counts;
	struct err err = {.text = ""};
	uint64_t left_out;
	char tree[96];
	int ret = image_tree(manifest, source, image.out_fd, &limits, &counts, &left_out, &err);

	FUZZ_REQUIRE(ret == 0 || err.text[0]);
	FUZZ_REQUIRE(ret < 0 || (counts.bytes <= limits.bytes && counts.entries <= limits.entries));
	snprintf(tree, sizeof(tree), "%s/out", image.base);
	FUZZ_REQUIRE(nftw(tree, look, 16, FTW_PHYS) == 0);
	unpack_erofs(manifest, source, ret, left_out > 0);
	check_outside();
}

/* Reads the descriptions, with a byte changed here and there. */
static void read_descriptions(struct fuzz_script *script, const struct image_source *source)
{
	static struct image_manifest manifest;
	struct err err = {.text = ""};
	char *text;
	long length, i;
	int ret;

	forged_oci(&image, CONFIG);
	length = image_source_read(source, "index.json", 4096, &text, &err);
	FUZZ_REQUIRE(length > 0);
	for (i = fuzz_below(script, 4); i > 0; i--)
		text[fuzz_number(script, 2) % (uint64_t)length] = (char)fuzz_number(script, 1);
	forged_write(&image, fuzz_below(script, 2) ? "index.json" : "manifest.json", text,
		     (size_t)length);
	free(text);
	ret = image_manifest_read(&manifest, source, NULL, &err);
	FUZZ_REQUIRE(ret == 0 || err.text[0]);
	FUZZ_REQUIRE(ret < 0 || (manifest.settings && manifest.layer_count <= IMAGE_LAYERS_MAX));
	image_manifest_clear(&manifest);
}

/* The same entries as an archive that is a root file system, perhaps compressed, and damaged. */
static void read_archive(struct fuzz_script *script)
{
	static struct forged_layer archive;
	static struct image_manifest manifest;
	enum compression kind;
	struct image_source source;
	struct image_counts counts;
	struct err err = {.text = ""};
	char path[96];
	int fd, ret;
	unsigned i;

	make_layer(script, &archive, fuzz_below(script, 4) > 0);
	kind = (enum compression)fuzz_below(script, 3);
	if (kind != COMPRESSION_NONE)
		forged_compress(&archive, kind);
	for (i = fuzz_below(script, 3); i > 0; i--)
		archive.bytes[fuzz_number(script, 2) % archive.length] =
			(uint8_t)fuzz_number(script, 1);
	archive.length -= fuzz_number(script, 1) % archive.length;
	forged_write(&image, "archive", archive.bytes, archive.length);
	snprintf(path, sizeof(path), "%s/src/archive", image.base);
	ret = image_source_open(&source, path, &err);
	if (ret == 0)
		ret = image_manifest_read(&manifest, &source, NULL, &err);
	FUZZ_REQUIRE(ret == 0 || err.text[0]);
	if (ret == 0) {
		FUZZ_REQUIRE(source.flat && manifest.layer_count == 1);
		fd = memfd_create("erofs", MFD_CLOEXEC);
		ret = image_unpack_erofs(&manifest, &source, fd, &limits, &counts, &err);
		FUZZ_REQUIRE(ret == 0 || err.text[0]);
		close(fd);
	}
	image_manifest_clear(&manifest);
	image_source_close(&source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_script script = {.at = data, .left = size};
	struct image_source source;
	struct err err = {.text = ""};
	char path[96];
	unsigned layers;

	forged_create(&image);
	snprintf(path, sizeof(path), "%s/src", image.base);
	FUZZ_REQUIRE(image_source_open(&source, path, &err) == 0);
	for (layers = 1 + fuzz_below(&script, 3); layers > 0; layers--)
		add_layer(&script);
	unpack(&image.manifest, &source);
	read_descriptions(&script, &source);
	image_source_close(&source);
	setenv("XDG_CACHE_HOME", image.base, 1);
	read_archive(&script);
	forged_destroy(&image);
	return 0;
}
