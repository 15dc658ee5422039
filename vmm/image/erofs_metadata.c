/* SPDX-License-Identifier: Apache-2.0 */
/* Writes what erofs_place() has laid out. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/image/erofs_internal.h"

#define DIRENTS_MAX (EROFS_BLKSIZ / (sizeof(struct erofs_dirent) + 1))

struct output {
	struct erofs *fs;
	uint64_t at; /* of the next byte, in the image */
	int ret;     /* the first error; nothing is written after it */
	struct err *err;
	size_t used;
	uint8_t buffer[64u << 10];
	/* a block of a directory */
	uint64_t block; /* number in the directory */
	bool tail;	/* the block in the tail is wanted, or all others */
	uint64_t blocks, size;
	unsigned count;
	size_t block_used;
	struct erofs_name names[DIRENTS_MAX];
	uint8_t bytes[EROFS_BLKSIZ];
};

/* --- bytes ------------------------------------------------------------------------------------ */

static void flush(struct output *output)
{
	if (output->ret == 0 && output->used > 0)
		output->ret = erofs_write_blocks(output->fs,
						 (output->at - output->used) >> EROFS_BLKSIZ_BITS,
						 output->buffer, output->used, output->err);
	output->used = 0;
}

/* bytes: NULL for zeros. */
static void emit(struct output *output, const void *bytes, uint64_t length)
{
	const uint8_t *from = bytes;

	while (length > 0) {
		size_t part = min_u64(length, sizeof(output->buffer) - output->used);

		if (from)
			memcpy(output->buffer + output->used, from, part);
		else
			memset(output->buffer + output->used, 0, part);
		from = from ? from + part : NULL;
		output->used += part;
		output->at += part;
		length -= part;
		if (output->used == sizeof(output->buffer))
			flush(output);
	}
}

static void emit_zeros_to(struct output *output, uint64_t at)
{
	emit(output, NULL, at - output->at);
}

/* --- directories ------------------------------------------------------------------------------ */

static uint8_t file_type(const struct erofs_node *node)
{
	switch (node->mode & S_IFMT) {
	case S_IFREG:
		return EROFS_FT_REG_FILE;
	case S_IFDIR:
		return EROFS_FT_DIR;
	case S_IFCHR:
		return EROFS_FT_CHRDEV;
	case S_IFBLK:
		return EROFS_FT_BLKDEV;
	case S_IFIFO:
		return EROFS_FT_FIFO;
	case S_IFSOCK:
		return EROFS_FT_SOCK;
	case S_IFLNK:
		return EROFS_FT_SYMLINK;
	default:
		return EROFS_FT_UNKNOWN;
	}
}

static void end_directory_block(struct output *output)
{
	size_t offset = output->count * sizeof(struct erofs_dirent);
	unsigned i;

	if (output->tail == (output->block == output->blocks)) {
		for (i = 0; i < output->count; i++) {
			const struct erofs_name *name = &output->names[i];
			const struct erofs_dirent entry = {
				.nid = htole64(name->node->nid),
				.nameoff = htole16((uint16_t)offset),
				.file_type = file_type(name->node),
			};

			memcpy(output->bytes + i * sizeof(entry), &entry, sizeof(entry));
			memcpy(output->bytes + offset, name->text, name->length);
			offset += name->length;
		}
		emit(output, output->bytes, offset);
		if (!output->tail)
			emit(output, NULL, EROFS_BLKSIZ - offset);
	}
	output->block++;
	output->count = 0;
	output->block_used = 0;
}

static void add_dirent(void *arg, const struct erofs_name *name)
{
	struct output *output = arg;
	size_t need = sizeof(struct erofs_dirent) + name->length;

	if (output->block_used + need > EROFS_BLKSIZ)
		end_directory_block(output);
	output->names[output->count++] = *name;
	output->block_used += need;
}

/* Writes the whole blocks of a directory, or its tail. */
static void write_directory(struct output *output, struct erofs_node *node, bool tail)
{
	output->tail = tail;
	output->blocks =
		align_up(node->size - node->inline_size, EROFS_BLKSIZ) >> EROFS_BLKSIZ_BITS;
	output->block = 0;
	output->count = 0;
	output->block_used = 0;
	erofs_each_name(node, add_dirent, output);
	end_directory_block(output);
}

static void write_blocks(struct output *output, struct erofs_node *node)
{
	if (node->size == node->inline_size)
		return;
	if (S_ISDIR(node->mode)) {
		write_directory(output, node, false);
	} else if (S_ISLNK(node->mode)) {
		emit(output, node->target, node->size);
		emit_zeros_to(output, align_up(output->at, EROFS_BLKSIZ));
	}
}

/* --- inodes ----------------------------------------------------------------------------------- */

static bool is_chunked(const struct erofs_node *node)
{
	return S_ISREG(node->mode) && node->file.hole_count > 0;
}

static uint16_t inode_format(const struct erofs_node *node)
{
	unsigned layout = EROFS_INODE_FLAT_PLAIN;

	if (is_chunked(node))
		layout = EROFS_INODE_CHUNK_BASED;
	else if (node->inline_size > 0)
		layout = EROFS_INODE_FLAT_INLINE;
	return (uint16_t)(layout << EROFS_I_DATALAYOUT_BIT |
			  (node->compact ? EROFS_INODE_LAYOUT_COMPACT
					 : EROFS_INODE_LAYOUT_EXTENDED));
}

static uint16_t xattr_count(const struct erofs_node *node)
{
	if (node->xattr_size == 0)
		return 0;
	return (uint16_t)(1 + (node->xattr_size - sizeof(struct erofs_xattr_ibody_header)) / 4);
}

static uint32_t inode_union(const struct erofs_node *node)
{
	if (is_chunked(node))
		return EROFS_CHUNK_BITS - EROFS_BLKSIZ_BITS;
	if (S_ISCHR(node->mode) || S_ISBLK(node->mode))
		return node->device;
	return node->blkaddr;
}

static void write_inode(struct output *output, const struct erofs_node *node)
{
	uint32_t links = S_ISDIR(node->mode) ? 2 + node->directory.directories : node->links;
	const struct erofs_inode_compact compact = {
		.i_format = htole16(inode_format(node)),
		.i_xattr_icount = htole16(xattr_count(node)),
		.i_mode = htole16((uint16_t)node->mode),
		.i_nlink = htole16((uint16_t)links),
		.i_size = htole32((uint32_t)node->size),
		.i_u = htole32(inode_union(node)),
		.i_ino = htole32(node->number),
		.i_uid = htole16((uint16_t)node->uid),
		.i_gid = htole16((uint16_t)node->gid),
	};
	const struct erofs_inode_extended extended = {
		.i_format = compact.i_format,
		.i_xattr_icount = compact.i_xattr_icount,
		.i_mode = compact.i_mode,
		.i_size = htole64(node->size),
		.i_u = compact.i_u,
		.i_ino = compact.i_ino,
		.i_uid = htole32(node->uid),
		.i_gid = htole32(node->gid),
		.i_mtime = htole64((uint64_t)node->mtime),
		.i_mtime_nsec = htole32(node->mtime_nsec),
		.i_nlink = htole32(links),
	};

	if (node->compact)
		emit(output, &compact, sizeof(compact));
	else
		emit(output, &extended, sizeof(extended));
	emit(output, node->xattr, node->xattr_size);
}

static void write_chunk_map(struct output *output, const struct erofs_node *node)
{
	const struct erofs_hole *hole = node->file.holes, *end = hole + node->file.hole_count;
	uint32_t chunk, block = node->file.block, count = erofs_chunks(node), entry;

	for (chunk = 0; chunk < count; chunk++) {
		if (hole < end && chunk == hole->chunk + hole->count)
			hole++;
		if (hole < end && chunk >= hole->chunk) {
			entry = htole32(EROFS_NULL_ADDR);
		} else {
			entry = htole32(block);
			block += EROFS_CHUNK >> EROFS_BLKSIZ_BITS;
		}
		emit(output, &entry, sizeof(entry));
	}
}

static void write_node(struct output *output, struct erofs_node *node)
{
	uint64_t meta = (uint64_t)output->fs->meta_block << EROFS_BLKSIZ_BITS;

	emit_zeros_to(output, meta + node->nid * EROFS_SLOTSIZE);
	write_inode(output, node);
	if (is_chunked(node))
		write_chunk_map(output, node);
	else if (node->inline_size == 0)
		return;
	else if (S_ISDIR(node->mode))
		write_directory(output, node, true);
	else if (S_ISLNK(node->mode))
		emit(output, node->target + node->size - node->inline_size, node->inline_size);
	else
		emit(output, node->file.tail, node->inline_size);
}

/* --- superblock ------------------------------------------------------------------------------- */

/* CRC-32C (Castagnoli), reflected, without the final inversion. */
static uint32_t crc32c(const uint8_t *bytes, size_t length)
{
	uint32_t crc = UINT32_MAX;
	unsigned bit;

	for (; length > 0; length--, bytes++) {
		crc ^= *bytes;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	return crc;
}

static int write_superblock(struct erofs *fs, const uint8_t uuid[16], struct err *err)
{
	struct erofs_super_block super = {
		.magic = htole32(EROFS_SUPER_MAGIC_V1),
		.feature_compat =
			htole32(EROFS_FEATURE_COMPAT_SB_CHKSUM | EROFS_FEATURE_COMPAT_MTIME),
		.blkszbits = EROFS_BLKSIZ_BITS,
		.root_nid = htole16((uint16_t)fs->root->nid),
		.inos = htole64(fs->nodes),
		.build_time = htole64((uint64_t)fs->time),
		.build_time_nsec = htole32(fs->time_nsec),
		.blocks = htole32((uint32_t)fs->block),
		.meta_blkaddr = htole32(fs->meta_block),
		.feature_incompat = htole32(fs->chunked ? EROFS_FEATURE_INCOMPAT_CHUNKED_FILE : 0),
	};
	uint8_t block[EROFS_BLKSIZ] = {0};

	memcpy(super.uuid, uuid, sizeof(super.uuid));
	memcpy(block + EROFS_SUPER_OFFSET, &super, sizeof(super));
	super.checksum =
		htole32(crc32c(block + EROFS_SUPER_OFFSET, sizeof(block) - EROFS_SUPER_OFFSET));
	memcpy(block + EROFS_SUPER_OFFSET, &super, sizeof(super));
	return erofs_write_blocks(fs, 0, block, sizeof(block), err);
}

int erofs_write_metadata(struct erofs *fs, const uint8_t uuid[16], struct err *err)
{
	struct output *output = calloc(1, sizeof(*output));
	uint32_t i;
	int ret;

	if (!output)
		return err_set(err, ENOMEM, "out of memory");
	output->fs = fs;
	output->err = err;
	/* The root comes first, and so do its blocks. */
	output->at = (uint64_t)fs->root->blkaddr << EROFS_BLKSIZ_BITS;
	for (i = 0; i < fs->nodes; i++)
		write_blocks(output, fs->order[i]);
	for (i = 0; i < fs->nodes; i++)
		write_node(output, fs->order[i]);
	emit_zeros_to(output, fs->block << EROFS_BLKSIZ_BITS);
	flush(output);
	ret = output->ret;
	free(output);
	if (ret == 0 && ftruncate(fs->fd, (off_t)(fs->block << EROFS_BLKSIZ_BITS)) < 0)
		ret = err_sys(err, "the image's length");
	return ret == 0 ? write_superblock(fs, uuid, err) : ret;
}
