/* SPDX-License-Identifier: Apache-2.0 */
#include "boot/bzimage.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <zlib.h>

#include "boot/elf.h"
#include "vmm/base/bytes.h"

#define SECTOR_BYTES 512

/* File offsets of the setup header's fields, and how much of the header is read. */
#define AT_SETUP_SECTORS  0x1f1
#define AT_SIGNATURE	  0x202 /* "HdrS" */
#define AT_VERSION	  0x206
#define AT_XLOADFLAGS	  0x236
#define AT_PAYLOAD_OFFSET 0x248
#define AT_PAYLOAD_LENGTH 0x24c
#define HEADER_BYTES	  0x250

#define VERSION_NEEDED	0x020c
#define XLF_KERNEL_64	0x0001
#define SETUP_SECTORS_0 4 /* what 0 means, for historical reasons (boot.rst) */

#define WINDOW_GZIP (15 + 16) /* inflateInit2: largest window, gzip header and checksum */
#define CHUNK_BYTES (64u << 10)

bool bzimage_is_bzimage(const void *bytes, uint64_t length)
{
	return length >= BZIMAGE_PROBE_BYTES &&
	       memcmp((const uint8_t *)bytes + AT_SIGNATURE, "HdrS", 4) == 0;
}

/* Finds offset and length of the payload in the file. */
static int find_payload(const struct boot_image *image, uint64_t *offset, uint64_t *length,
			struct err *err)
{
	uint8_t header[HEADER_BYTES];
	unsigned version, sectors;
	uint64_t protected_mode;
	int ret;

	ret = boot_image_read(image, 0, header, sizeof(header), err);
	if (ret < 0)
		return ret;
	if (!bzimage_is_bzimage(header, sizeof(header)))
		return err_set(err, ENOEXEC, "%s is not a bzImage", image->name);
	version = load_le16(header + AT_VERSION);
	if (version < VERSION_NEEDED)
		return err_set(err, ENOEXEC,
			       "%s: boot protocol %u.%02u is too old; 2.12 or later is needed "
			       "(Linux 3.8)",
			       image->name, version >> 8, version & 0xff);
	if (!(load_le16(header + AT_XLOADFLAGS) & XLF_KERNEL_64))
		return err_set(err, ENOEXEC, "%s is not a 64-bit kernel: build one for x86-64",
			       image->name);
	sectors = header[AT_SETUP_SECTORS] ? header[AT_SETUP_SECTORS] : SETUP_SECTORS_0;
	protected_mode = (uint64_t)(sectors + 1) * SECTOR_BYTES;
	/* Sums of 32-bit fields can't overflow 64 bits. */
	*offset = protected_mode + load_le32(header + AT_PAYLOAD_OFFSET);
	*length = load_le32(header + AT_PAYLOAD_LENGTH);
	if (*length == 0 || !range_within(*offset, *length, image->size))
		return err_set(err, ENOEXEC,
			       "%s is truncated: its payload of %" PRIu64
			       " bytes at offset %" PRIu64
			       " extends beyond the end of the file (%" PRIu64 " bytes)",
			       image->name, *length, *offset, image->size);
	return 0;
}

/* The compression formats of the kernel's build, by their first bytes. */
static const struct compression {
	const char *name;
	uint8_t magic[6];
	uint8_t length;
} compressions[] = {
	{"gzip", {0x1f, 0x8b}, 2},
	{"bzip2", {'B', 'Z', 'h'}, 3},
	{"lzma", {0x5d, 0x00, 0x00}, 3},
	{"xz", {0xfd, '7', 'z', 'X', 'Z', 0x00}, 6},
	{"lzo", {0x89, 'L', 'Z', 'O'}, 4},
	{"lz4", {0x02, 0x21, 0x4c, 0x18}, 4},
	{"zstd", {0x28, 0xb5, 0x2f, 0xfd}, 4},
};
#define COMPRESSION_GZIP (&compressions[0])

static const struct compression *find_compression(const uint8_t *bytes)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(compressions); i++)
		if (memcmp(bytes, compressions[i].magic, compressions[i].length) == 0)
			return &compressions[i];
	return NULL;
}

/* Reserves address space for limit bytes; only the bytes written take memory. */
static int reserve_output(struct boot_image *vmlinux, uint64_t limit, struct err *err)
{
	void *mapping = mmap(NULL, limit, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (mapping == MAP_FAILED)
		return err_sys(err, "no memory to unpack %s", vmlinux->name);
	madvise(mapping, limit, MADV_HUGEPAGE);
	vmlinux->mapping = mapping;
	vmlinux->mapping_size = limit;
	vmlinux->data = mapping;
	return 0;
}

/* Gives stream the next chunk of the payload, if it has used up the last one and there is more. */
static int feed(z_stream *stream, uint8_t *chunk, const struct boot_image *image, uint64_t *offset,
		uint64_t end, struct err *err)
{
	uint64_t length = min_u64(CHUNK_BYTES, end - *offset);
	int ret;

	if (stream->avail_in > 0 || length == 0)
		return 0;
	ret = boot_image_read(image, *offset, chunk, length, err);
	if (ret < 0)
		return ret;
	*offset += length;
	stream->next_in = chunk;
	stream->avail_in = (uInt)length;
	return 0;
}

/* Runs the decompressor to the end of the gzip stream; total_out is then the size. */
static int inflate_all(z_stream *stream, const struct boot_image *image, uint64_t offset,
		       uint64_t length, uint64_t limit, struct err *err)
{
	uint8_t chunk[CHUNK_BYTES];
	uint64_t end = offset + length;
	int ret, status;

	for (;;) {
		ret = feed(stream, chunk, image, &offset, end, err);
		if (ret < 0)
			return ret;
		stream->avail_out = (uInt)min_u64(limit - stream->total_out, MIB(64));
		status = inflate(stream, Z_NO_FLUSH);
		if (status == Z_STREAM_END)
			return 0;
		if (status == Z_MEM_ERROR)
			return err_set(err, ENOMEM, "no memory to unpack %s", image->name);
		if (status != Z_OK && status != Z_BUF_ERROR)
			return err_set(err, ENOEXEC, "%s: the compressed kernel is damaged (%s)",
				       image->name, stream->msg ? stream->msg : "bad data");
		if (stream->total_out >= limit)
			return err_set(err, EFBIG,
				       "%s unpacks to more than %" PRIu64
				       " MiB, which does not fit: give the guest more memory",
				       image->name, limit >> 20);
		if (stream->avail_in == 0 && offset == end)
			return err_set(err, ENOEXEC, "%s: the compressed kernel is truncated",
				       image->name);
	}
}

static int unpack_gzip(struct boot_image *vmlinux, const struct boot_image *image, uint64_t offset,
		       uint64_t length, uint64_t limit, struct err *err)
{
	z_stream stream = {.next_in = NULL};
	int ret;

	ret = reserve_output(vmlinux, limit, err);
	if (ret < 0)
		return ret;
	if (inflateInit2(&stream, WINDOW_GZIP) != Z_OK)
		return err_set(err, ENOMEM, "no memory to unpack %s", image->name);
	stream.next_out = vmlinux->mapping;
	ret = inflate_all(&stream, image, offset, length, limit, err);
	vmlinux->size = stream.total_out;
	inflateEnd(&stream);
	return ret;
}

static int copy_plain(struct boot_image *vmlinux, const struct boot_image *image, uint64_t offset,
		      uint64_t length, uint64_t limit, struct err *err)
{
	int ret;

	if (length > limit)
		return err_set(err, EFBIG,
			       "%s: a kernel of %" PRIu64
			       " MiB does not fit: give the guest more memory",
			       image->name, length >> 20);
	ret = reserve_output(vmlinux, length, err);
	if (ret < 0)
		return ret;
	vmlinux->size = length;
	return boot_image_read(image, offset, vmlinux->mapping, length, err);
}

int bzimage_unpack(struct boot_image *vmlinux, const struct boot_image *image, uint64_t limit,
		   struct err *err)
{
	const struct compression *compression;
	uint64_t offset, length;
	uint8_t magic[6] = {0};
	int ret;

	boot_image_from_memory(vmlinux, image->name, NULL, 0);
	ret = find_payload(image, &offset, &length, err);
	if (ret == 0)
		ret = boot_image_read(image, offset, magic, min_u64(sizeof(magic), length), err);
	if (ret < 0)
		return ret;
	if (elf_is_elf(magic, sizeof(magic)))
		return copy_plain(vmlinux, image, offset, length, limit, err);
	compression = find_compression(magic);
	if (compression == COMPRESSION_GZIP)
		return unpack_gzip(vmlinux, image, offset, length, limit, err);
	return err_set(err, ENOEXEC,
		       "%s: %s compression is not supported: give the vmlinux (unpack it with "
		       "scripts/extract-vmlinux of the kernel's source), or build the kernel with "
		       "CONFIG_KERNEL_GZIP=y",
		       image->name, compression ? compression->name : "unknown");
}
