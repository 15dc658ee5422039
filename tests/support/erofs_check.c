/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of whole erofs images. */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/erofs_image.h"
#include "vmm/base/bytes.h"

/* --- the whole image -------------------------------------------------------------------------- */

struct check {
	const struct erofs_image *image;
	const char *wrong;
	uint8_t *used; /* blocks */
	struct {
		uint32_t names, links;
	} * seen; /* of each inode, by number */
	uint32_t inodes;
};

static void require(struct check *check, bool holds, const char *wrong)
{
	if (!holds && !check->wrong)
		check->wrong = wrong;
}

static void check_blocks(struct check *check, const struct erofs_found *found)
{
	uint64_t block, blocks = align_up(found->size, EROFS_BLKSIZ) >> EROFS_BLKSIZ_BITS, room, at;

	for (block = 0; block < blocks && !check->wrong; block++) {
		at = erofs_image_block(check->image, found, block, &room);
		require(check, at != UINT64_MAX, "contents are outside of the image");
		if (check->wrong || at == 0 ||
		    at >= EROFS_PLACE(check->image->super.meta_blkaddr)) {
			require(check, at == 0 || at == found->at, "contents in the metadata");
			continue;
		}
		at >>= EROFS_BLKSIZ_BITS;
		require(check, at > 0 && !check->used[at], "a block has two uses");
		check->used[at] = 1;
	}
}

static void check_directory(struct check *check, const struct erofs_found *directory,
			    uint64_t parent, unsigned depth);

static void check_entry(struct check *check, const struct erofs_found *directory, uint64_t parent,
			const struct erofs_dirent *entry, const char *name, unsigned depth)
{
	static const mode_t types[] = {0,	S_IFREG, S_IFDIR,  S_IFCHR,
				       S_IFBLK, S_IFIFO, S_IFSOCK, S_IFLNK};
	struct erofs_found found;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
		require(check, entry->nid == (name[1] ? parent : directory->nid), "wrong dots");
		return;
	}
	require(check, erofs_image_inode(check->image, entry->nid, &found),
		"an inode outside the image");
	if (check->wrong)
		return;
	require(check,
		entry->file_type < ARRAY_SIZE(types) &&
			types[entry->file_type] == (found.mode & S_IFMT),
		"a wrong type");
	require(check, found.number > 0 && found.number <= check->image->super.inos,
		"a wrong inode number");
	if (check->wrong || check->seen[found.number].names++ > 0)
		return;
	check->seen[found.number].links = S_ISDIR(found.mode) ? 1 : found.links;
	check->inodes++;
	if (S_ISDIR(found.mode))
		check_directory(check, &found, directory->nid, depth + 1);
	else if (S_ISREG(found.mode) || S_ISLNK(found.mode))
		check_blocks(check, &found);
}

static void check_directory(struct check *check, const struct erofs_found *directory,
			    uint64_t parent, unsigned depth)
{
	uint64_t block, blocks = align_up(directory->size, EROFS_BLKSIZ) >> EROFS_BLKSIZ_BITS;
	char name[EROFS_NAME_LEN + 1], last[EROFS_NAME_LEN + 1] = "";
	struct erofs_names *names = malloc(sizeof(*names));
	struct erofs_dirent entry;
	unsigned i, dots = 0, directories = 0;

	check_blocks(check, directory);
	require(check, depth < 200, "too deep");
	for (block = 0; block < blocks && !check->wrong; block++) {
		require(check, erofs_image_names(check->image, directory, block, names),
			"a bad block");
		for (i = 0; !check->wrong && i < names->count; i++) {
			require(check, erofs_image_name(names, i, &entry, name), "a bad name");
			require(check, strcmp(last, name) < 0, "names out of order");
			strcpy(last, name);
			dots += strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
			directories += entry.file_type == EROFS_FT_DIR;
			if (!check->wrong)
				check_entry(check, directory, parent, &entry, name, depth);
		}
	}
	require(check, dots == 2 && directories == directory->links, "wrong links of a directory");
	free(names);
}

/* CRC-32C, bit by bit over whole bytes. */
static uint32_t checksum(const uint8_t *bytes, size_t length)
{
	uint32_t crc = UINT32_MAX;
	size_t bit;

	for (bit = 0; bit < length * 8; bit++) {
		crc ^= bytes[bit / 8] >> bit % 8 & 1;
		crc = crc & 1 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
	}
	return crc;
}

static void check_superblock(struct check *check)
{
	const struct erofs_super_block *super = &check->image->super;
	uint8_t block[EROFS_BLKSIZ - EROFS_SUPER_OFFSET];

	memcpy(block, check->image->bytes + EROFS_SUPER_OFFSET, sizeof(block));
	memset(block + offsetof(struct erofs_super_block, checksum), 0, 4);
	require(check, checksum(block, sizeof(block)) == super->checksum, "a wrong checksum");
	require(check, EROFS_PLACE(super->blocks) == check->image->length,
		"a wrong number of blocks");
	require(check, super->meta_blkaddr < super->blocks, "no metadata");
	require(check, super->inos < (1u << 24), "too many inodes");
}

const char *erofs_image_check(const struct erofs_image *image)
{
	struct check check = {.image = image, .inodes = 1};
	struct erofs_found root;
	uint32_t i;

	check_superblock(&check);
	if (check.wrong)
		return check.wrong;
	check.used = calloc(image->super.blocks, 1);
	check.seen = calloc(image->super.inos + 1, sizeof(*check.seen));
	check.seen[1].names = check.seen[1].links = 1; /* the root */
	require(&check,
		erofs_image_inode(image, image->super.root_nid, &root) && S_ISDIR(root.mode),
		"no root");
	if (!check.wrong)
		check_directory(&check, &root, root.nid, 0);
	require(&check, check.inodes == image->super.inos, "a wrong number of inodes");
	for (i = 1; !check.wrong && i <= image->super.inos; i++)
		require(&check, check.seen[i].names == check.seen[i].links, "a wrong link count");
	free(check.used);
	free(check.seen);
	return check.wrong;
}

/* --- comparing -------------------------------------------------------------------------------- */

struct comparison {
	const struct erofs_image *image;
	char path[PATH_MAX]; /* of what differs */
};

static bool same_contents(struct comparison *compare, const struct erofs_found *found, int fd)
{
	uint8_t here[4096], there[4096];
	uint64_t at = 0;
	ssize_t n;

	while ((n = pread(fd, here, sizeof(here), (off_t)at)) > 0) {
		if (erofs_image_read(compare->image, found, at, there, (size_t)n) != (size_t)n ||
		    memcmp(here, there, (size_t)n) != 0)
			return false;
		at += (uint64_t)n;
	}
	return n == 0 && at == found->size;
}

static bool same_target(struct comparison *compare, const struct erofs_found *found, int parent,
			const char *name)
{
	char here[PATH_MAX], there[PATH_MAX];
	ssize_t n = readlinkat(parent, name, here, sizeof(here));

	return n == (ssize_t)found->size &&
	       erofs_image_read(compare->image, found, 0, there, sizeof(there)) == (size_t)n &&
	       memcmp(here, there, (size_t)n) == 0;
}

static bool same_directory(struct comparison *compare, const struct erofs_found *found, int fd);

static bool same_entry(struct comparison *compare, int parent, const char *name)
{
	struct erofs_found found;
	struct stat status;
	mode_t more = 0400;
	bool same;
	int fd;

	if (fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !erofs_image_find(compare->image, compare->path, &found) ||
	    (found.mode & S_IFMT) != (status.st_mode & S_IFMT))
		return false;
	if (S_ISLNK(found.mode))
		return same_target(compare, &found, parent, name);
	fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (S_ISDIR(found.mode)) {
		more = 0700;
		found.mode &= ~(mode_t)06000;
		same = same_directory(compare, &found, fd);
	} else {
		found.mode &= ~(mode_t)07000;
		same = found.links == status.st_nlink && found.mtime == status.st_mtime &&
		       same_contents(compare, &found, fd);
	}
	if (fd >= 0)
		close(fd);
	return same && (found.mode | more) == status.st_mode;
}

/* The number of names in a directory of the image, without dots. */
static unsigned count_names(const struct erofs_image *image, const struct erofs_found *found)
{
	static struct erofs_names names;
	unsigned count = 0;
	uint64_t at;

	for (at = 0; at < found->size; at += EROFS_BLKSIZ)
		if (erofs_image_names(image, found, at >> EROFS_BLKSIZ_BITS, &names))
			count += names.count;
	return count - 2;
}

static bool same_directory(struct comparison *compare, const struct erofs_found *found, int fd)
{
	int copy = dup(fd);
	DIR *list = fdopendir(copy);
	size_t length = strlen(compare->path);
	struct dirent *item;
	unsigned count = 0;
	bool same = list;

	while (same && (item = readdir(list))) {
		if (strcmp(item->d_name, ".") == 0 || strcmp(item->d_name, "..") == 0)
			continue;
		count++;
		snprintf(compare->path + length, sizeof(compare->path) - length, "%s%s",
			 length ? "/" : "", item->d_name);
		same = same_entry(compare, fd, item->d_name);
		if (same)
			compare->path[length] = '\0';
	}
	if (list)
		closedir(list);
	return same && count == count_names(compare->image, found);
}

const char *erofs_image_compare(const struct erofs_image *image, int directory_fd)
{
	static struct comparison compare;
	struct erofs_found root;
	int fd = openat(directory_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool same;

	compare = (struct comparison){.image = image};
	same = erofs_image_find(image, "", &root) && same_directory(&compare, &root, fd);
	close(fd);
	return same ? NULL : compare.path[0] ? compare.path : "/";
}
