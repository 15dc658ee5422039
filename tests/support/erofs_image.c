/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/erofs_image.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "vmm/base/bytes.h"

bool erofs_image_open(struct erofs_image *image, int fd)
{
	struct stat status;
	void *bytes;

	memset(image, 0, sizeof(*image));
	if (fstat(fd, &status) < 0 || status.st_size < EROFS_BLKSIZ)
		return false;
	bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (bytes == MAP_FAILED)
		return false;
	image->bytes = bytes;
	image->length = (size_t)status.st_size;
	memcpy(&image->super, image->bytes + EROFS_SUPER_OFFSET, sizeof(image->super));
	return image->super.magic == EROFS_SUPER_MAGIC_V1;
}

void erofs_image_close(struct erofs_image *image)
{
	if (image->bytes)
		munmap((void *)image->bytes, image->length);
	image->bytes = NULL;
}

/* --- inodes ----------------------------------------------------------------------------------- */

static bool get(const struct erofs_image *image, uint64_t at, void *to, size_t size)
{
	if (!range_within(at, size, image->length))
		return false;
	memcpy(to, image->bytes + at, size);
	return true;
}

bool erofs_image_inode(const struct erofs_image *image, uint64_t nid, struct erofs_found *found)
{
	uint64_t at = EROFS_PLACE(image->super.meta_blkaddr) + nid * EROFS_SLOTSIZE;
	struct erofs_inode_extended big;
	struct erofs_inode_compact small;

	if (nid > UINT32_MAX || !get(image, at, &small, sizeof(small)))
		return false;
	*found = (struct erofs_found){.nid = nid, .mode = small.i_mode};
	found->layout = small.i_format >> EROFS_I_DATALAYOUT_BIT;
	found->compact = (small.i_format & 1) == EROFS_INODE_LAYOUT_COMPACT;
	found->size = small.i_size;
	found->uid = small.i_uid;
	found->gid = small.i_gid;
	found->links = small.i_nlink;
	found->number = small.i_ino;
	found->i_u = small.i_u;
	found->mtime = (int64_t)image->super.build_time;
	found->mtime_nsec = image->super.build_time_nsec;
	if (!found->compact) {
		if (!get(image, at, &big, sizeof(big)) ||
		    at / EROFS_BLKSIZ != (at + sizeof(big) - 1) / EROFS_BLKSIZ)
			return false;
		found->size = big.i_size;
		found->uid = big.i_uid;
		found->gid = big.i_gid;
		found->links = big.i_nlink;
		found->number = big.i_ino;
		found->i_u = big.i_u;
		found->mtime = (int64_t)big.i_mtime;
		found->mtime_nsec = big.i_mtime_nsec;
	}
	found->at = at + (found->compact ? sizeof(small) : sizeof(big));
	if (small.i_xattr_icount > 0)
		found->xattr_size =
			sizeof(struct erofs_xattr_ibody_header) + 4 * (small.i_xattr_icount - 1u);
	if (!range_within(found->at, found->xattr_size, image->length))
		return false;
	found->xattr = image->bytes + found->at;
	found->at += found->xattr_size;
	return true;
}

const void *erofs_image_xattr(const struct erofs_found *found, unsigned index, const char *name,
			      size_t *size)
{
	size_t at = sizeof(struct erofs_xattr_ibody_header);
	struct erofs_xattr_entry entry;

	while (at + sizeof(entry) <= found->xattr_size) {
		memcpy(&entry, found->xattr + at, sizeof(entry));
		at += sizeof(entry);
		if (at + entry.e_name_len + entry.e_value_size > found->xattr_size)
			return NULL;
		if (entry.e_name_index == index && strlen(name) == entry.e_name_len &&
		    memcmp(found->xattr + at, name, entry.e_name_len) == 0) {
			*size = entry.e_value_size;
			return found->xattr + at + entry.e_name_len;
		}
		at = align_up(at + entry.e_name_len + entry.e_value_size, 4);
	}
	return NULL;
}

/* --- contents --------------------------------------------------------------------------------- */

uint64_t erofs_image_block(const struct erofs_image *image, const struct erofs_found *found,
			   uint64_t block, uint64_t *room)
{
	uint64_t at = EROFS_PLACE(found->i_u) + EROFS_PLACE(block), chunk;
	uint32_t address;
	unsigned bits;

	*room = min_u64(found->size - EROFS_PLACE(block), EROFS_BLKSIZ);
	if (found->layout == EROFS_INODE_FLAT_INLINE && *room < EROFS_BLKSIZ) {
		at = found->at;
		if (at / EROFS_BLKSIZ != (at + *room - 1) / EROFS_BLKSIZ)
			return UINT64_MAX;
	} else if (found->layout == EROFS_INODE_CHUNK_BASED) {
		bits = found->i_u & EROFS_CHUNK_FORMAT_BLKBITS_MASK;
		chunk = block >> bits;
		if (!get(image, align_up(found->at, 4) + 4 * chunk, &address, 4))
			return UINT64_MAX;
		if (address == EROFS_NULL_ADDR)
			return 0;
		at = EROFS_PLACE(address) + EROFS_PLACE(block - (chunk << bits));
	}
	return range_within(at, *room, image->length) ? at : UINT64_MAX;
}

size_t erofs_image_read(const struct erofs_image *image, const struct erofs_found *found,
			uint64_t offset, void *to, size_t length)
{
	uint64_t at, room, within;
	size_t done = 0, part;

	while (done < length && offset < found->size) {
		at = erofs_image_block(image, found, offset >> EROFS_BLKSIZ_BITS, &room);
		if (at == UINT64_MAX)
			break;
		within = offset % EROFS_BLKSIZ;
		part = min_u64(length - done, room - within);
		if (at == 0)
			memset((char *)to + done, 0, part);
		else
			memcpy((char *)to + done, image->bytes + at + within, part);
		done += part;
		offset += part;
	}
	return done;
}

bool erofs_image_has(const struct erofs_image *image, const char *path, const char *text)
{
	struct erofs_found found;
	char contents[4096];

	return erofs_image_find(image, path, &found) && found.size == strlen(text) &&
	       found.size <= sizeof(contents) &&
	       erofs_image_read(image, &found, 0, contents, sizeof(contents)) == found.size &&
	       memcmp(contents, text, found.size) == 0;
}

/* --- names ------------------------------------------------------------------------------------ */

bool erofs_image_names(const struct erofs_image *image, const struct erofs_found *directory,
		       uint64_t block, struct erofs_names *names)
{
	struct erofs_dirent first;

	names->length =
		erofs_image_read(image, directory, EROFS_PLACE(block), names->bytes, EROFS_BLKSIZ);
	names->bytes[names->length] = '\0';
	if (names->length < sizeof(first))
		return false;
	memcpy(&first, names->bytes, sizeof(first));
	names->count = first.nameoff / sizeof(first);
	return first.nameoff > 0 && first.nameoff % sizeof(first) == 0 &&
	       first.nameoff <= names->length;
}

bool erofs_image_name(const struct erofs_names *names, unsigned i, struct erofs_dirent *entry,
		      char name[EROFS_NAME_LEN + 1])
{
	struct erofs_dirent next;
	size_t end = names->length;

	memcpy(entry, names->bytes + i * sizeof(*entry), sizeof(*entry));
	if (i + 1 < names->count) {
		memcpy(&next, names->bytes + (i + 1) * sizeof(next), sizeof(next));
		end = next.nameoff;
	}
	if (entry->nameoff >= end || end > names->length)
		return false;
	end = entry->nameoff + strnlen((char *)names->bytes + entry->nameoff, end - entry->nameoff);
	if (end == entry->nameoff || end - entry->nameoff > EROFS_NAME_LEN)
		return false;
	memcpy(name, names->bytes + entry->nameoff, end - entry->nameoff);
	name[end - entry->nameoff] = '\0';
	return true;
}

/* As Linux: the last block whose first name is not beyond, then the name in it. */
static bool find_name(const struct erofs_image *image, const struct erofs_found *directory,
		      const char *wanted, struct erofs_dirent *entry)
{
	uint64_t low = 0, high = align_up(directory->size, EROFS_BLKSIZ) >> EROFS_BLKSIZ_BITS, mid;
	char name[EROFS_NAME_LEN + 1];
	struct erofs_names names;
	unsigned first = 0, last, i;

	while (high - low > 1) {
		mid = low + (high - low) / 2;
		if (!erofs_image_names(image, directory, mid, &names) ||
		    !erofs_image_name(&names, 0, entry, name))
			return false;
		*(strcmp(name, wanted) <= 0 ? &low : &high) = mid;
	}
	if (!erofs_image_names(image, directory, low, &names))
		return false;
	for (last = names.count; first < last;) {
		i = first + (last - first) / 2;
		if (!erofs_image_name(&names, i, entry, name))
			return false;
		if (strcmp(name, wanted) == 0)
			return true;
		if (strcmp(name, wanted) < 0)
			first = i + 1;
		else
			last = i;
	}
	return false;
}

bool erofs_image_find(const struct erofs_image *image, const char *path, struct erofs_found *found)
{
	char part[EROFS_NAME_LEN + 1];
	struct erofs_dirent entry;
	size_t length;

	if (!erofs_image_inode(image, image->super.root_nid, found))
		return false;
	while (*path) {
		length = strcspn(path, "/");
		if (length > EROFS_NAME_LEN || !S_ISDIR(found->mode))
			return false;
		memcpy(part, path, length);
		part[length] = '\0';
		path += length + (path[length] == '/');
		if (!find_name(image, found, part, &entry) ||
		    !erofs_image_inode(image, entry.nid, found))
			return false;
	}
	return true;
}
