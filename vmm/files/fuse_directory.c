/* SPDX-License-Identifier: Apache-2.0 */
/* FUSE: reads directories, with the status of what is in them if that is wanted. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/files/fuse_internal.h"
#include "vmm/files/remember.h"

struct listing {
	struct fuse_request *request;
	const struct open_file *file;
	size_t limit; /* of the reply */
	bool plus;
	int directory; /* the place of the directory, found anew; -1: it is another one now */
};

/*
 * The status of an entry, found in the directory at its place (as for a creation: docs/shares.md).
 * false: the guest looks it up itself if it wants to know.
 */
static bool look(const struct listing *listing, const struct entry *entry, struct stat *stat,
		 int *fd)
{
	const struct files_share *share = listing->request->root->tree->share;

	*fd = -1;
	if (listing->directory < 0 || entry_is_dots(entry))
		return false;
	/* Not of a mount, which the guest does not enter. */
	*fd = name_look(listing->directory, entry->name, share->host_root, stat);
	return *fd >= 0;
}

/* Tells the guest of an entry as LOOKUP does; nothing of it in out: it is not told. */
static void tell(const struct listing *listing, const struct entry *entry,
		 struct fuse_entry_out *out)
{
	struct fuse_root *root = listing->request->root;
	struct name name = {.length = strlen(entry->name)};
	struct node *node;
	struct stat stat;
	int fd, may;

	if (name.length > FILES_NAME_MAX)
		return;
	memcpy(name.text, entry->name, name.length + 1);
	may = look(listing, entry, &stat, &fd) ? may_enter(root->tree, fd, &stat) : -ENOENT;
	if (may >= 0) {
		node = fuse_node_at(root, listing->file->node, &name, &stat);
		if (node && S_ISDIR(stat.st_mode))
			node_entered(node, may == 0);
		if (node && fuse_node_tell(root, node, &stat, fd, out) < 0)
			*out = (struct fuse_entry_out){.nodeid = 0};
	}
	fd_close(&fd);
}

/* Of an entry that the guest has looked up; or NULL. */
static struct node *known_node(const struct listing *listing, const struct entry *entry)
{
	struct name name = {.length = strlen(entry->name)};

	if (name.length > FILES_NAME_MAX)
		return NULL;
	memcpy(name.text, entry->name, name.length + 1);
	return node_find(listing->request->root->tree, listing->file->node, &name);
}

/* An empty file of the host may be a special one of the sandbox. */
static unsigned type_of(const struct listing *listing, const struct entry *entry)
{
	struct tree *tree = listing->request->root->tree;
	struct remembered remembered = {.mode = 0};
	struct stat stat;
	int fd;

	if (listing->plus || entry->type != DT_REG || !tree->share->remember)
		return entry->type;
	if (listing->directory < 0)
		return entry->type;
	fd = name_look(listing->directory, entry->name, false, &stat);
	if (fd >= 0 && S_ISREG(stat.st_mode) && stat.st_size == 0)
		remembered_get_by_path(tree, known_node(listing, entry), fd, &stat, &remembered);
	fd_close(&fd);
	return remembered.mode & S_IFMT ? IFTODT(remembered.mode) : DT_REG;
}

static size_t entry_size(const char *name)
{
	return align_up(sizeof(struct fuse_dirent) + strlen(name), 8);
}

bool fuse_put_entry(struct fuse_request *request, size_t limit, const struct fuse_entry_out *told,
		    uint64_t ino, uint64_t offset, unsigned type, const char *name)
{
	static const uint8_t padding[8];
	size_t length = strlen(name), size = entry_size(name);
	const struct fuse_dirent out = {
		.ino = ino, .off = offset, .namelen = (uint32_t)length, .type = type};

	if (size + (told ? sizeof(*told) : 0) > limit - request->out.at)
		return false;
	if (told)
		fuse_put(request, told, sizeof(*told));
	fuse_put(request, &out, sizeof(out));
	fuse_put(request, name, length);
	fuse_put(request, padding, size - sizeof(out) - length);
	return true;
}

static bool put_entry(void *arg, const struct entry *entry, const struct stat *directory)
{
	const struct listing *listing = arg;
	struct fuse_request *request = listing->request;
	struct fuse_entry_out told = {.nodeid = 0};

	/* The guest must not be told of a node that it does not read of. */
	if (listing->plus &&
	    entry_size(entry->name) + sizeof(told) <= listing->limit - request->out.at)
		tell(listing, entry, &told);
	/* A special file of the sandbox is another one on the host. */
	return fuse_put_entry(request, listing->limit, listing->plus ? &told : NULL,
			      entry_ino(listing->file, entry, directory), (uint64_t)entry->offset,
			      told.nodeid ? IFTODT(told.attr.mode) : type_of(listing, entry),
			      entry->name);
}

/* An O_PATH descriptor of the place of an open directory; -1: another directory is there. */
static int open_place(const struct fuse_request *request, const struct open_file *file)
{
	int fd = node_open_directory(request->root->tree, file->node);
	struct stat open, place;

	if (fd >= 0 && (fstat(file->fd, &open) < 0 || fstat(fd, &place) < 0 ||
			open.st_dev != place.st_dev || open.st_ino != place.st_ino))
		fd_close(&fd);
	return fd < 0 ? -1 : fd;
}

static int list(struct fuse_request *request, bool plus)
{
	struct listing listing = {.request = request, .plus = plus, .directory = -1};
	size_t start = request->out.at, size;
	struct fuse_handle *handle;
	struct fuse_read_in in;
	struct stat stat;
	int ret = fuse_take(request, &in, sizeof(in));

	if (ret == 0)
		ret = fuse_take_end(request);
	if (ret == 0 && in.offset > INT64_MAX)
		ret = -EINVAL;
	if (ret == 0)
		ret = fuse_handle_borrow(request, in.fh, O_RDONLY | O_DIRECTORY, &handle);
	if (ret < 0)
		return ret;
	size = min_u64(min_u64(in.size, FUSED_LISTING_MAX), request->out.size - start);
	listing.file = &handle->file;
	listing.limit = start + size;
	if (plus || request->root->tree->share->remember)
		listing.directory = open_place(request, &handle->file);
	ret = handle->file.directory ? op_list(request->root->tree, &handle->file, in.offset, size,
					       &stat, put_entry, &listing)
				     : -ENOTDIR;
	fd_close(&listing.directory);
	fuse_handle_back(request, in.fh, handle);
	/* No room for a single entry. */
	if (ret == 0 && request->out.at == start)
		return -EINVAL;
	return ret < 0 ? ret : 0;
}

int fuse_readdir(struct fuse_request *request)
{
	return list(request, false);
}

int fuse_readdirplus(struct fuse_request *request)
{
	return list(request, true);
}
