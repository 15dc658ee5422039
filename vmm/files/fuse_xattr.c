/* SPDX-License-Identifier: Apache-2.0 */
/* FUSE: extended attributes. */
#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#include "vmm/files/fuse_internal.h"

/* GETXATTR and LISTXATTR with room for size bytes; 0: only its length is wanted. */
static int put_value(struct fuse_request *request, const char *value, long length, uint32_t size)
{
	struct fuse_getxattr_out out = {.size = (uint32_t)length};

	if (length < 0)
		return (int)length;
	if (size == 0)
		fuse_put(request, &out, sizeof(out));
	else if (length > size)
		return -ERANGE;
	else
		fuse_put(request, value, (size_t)length);
	return 0;
}

static int get(struct fuse_request *request, bool list)
{
	static __thread char value[FUSED_XATTR_MAX];
	char name[FILES_NAME_MAX + 1] = "";
	struct fuse_getxattr_in in;
	int ret = fuse_take(request, &in, sizeof(in));

	if (ret == 0 && !list)
		ret = fuse_take_string(request, name, sizeof(name));
	if (ret == 0)
		ret = fuse_take_end(request);
	if (ret == 0 && !list && !name[0])
		ret = -EINVAL;
	if (ret < 0)
		return ret;
	return put_value(request, value,
			 op_get_xattr(request->root->tree, request->node, name, value), in.size);
}

int fuse_getxattr(struct fuse_request *request)
{
	return get(request, false);
}

int fuse_listxattr(struct fuse_request *request)
{
	return get(request, true);
}

/* SETXATTR: size and flags (SETXATTR_EXT is not negotiated), name, value. */
int fuse_setxattr(struct fuse_request *request)
{
	struct fuse_setxattr_in in;
	char name[FILES_NAME_MAX + 1];
	const uint8_t *value;
	int ret = fuse_take(request, &in, FUSE_COMPAT_SETXATTR_IN_SIZE);

	if (ret == 0)
		ret = fuse_take_string(request, name, sizeof(name));
	if (ret == 0 && in.size != unpack_left(&request->in))
		ret = -EINVAL;
	if (ret == 0 && (in.flags & ~(uint32_t)(XATTR_CREATE | XATTR_REPLACE)))
		ret = -EINVAL;
	if (ret == 0 && in.size > FUSED_XATTR_MAX)
		ret = -E2BIG;
	if (ret < 0)
		return ret;
	value = unpack_skip(&request->in, in.size);
	request->root->written = true;
	return op_set_xattr(request->root->tree, request->node, name, value, in.size,
			    (int)in.flags);
}

int fuse_removexattr(struct fuse_request *request)
{
	char name[FILES_NAME_MAX + 1];
	int ret = fuse_take_string(request, name, sizeof(name));

	if (ret == 0)
		ret = fuse_take_end(request);
	return ret < 0 ? ret : op_set_xattr(request->root->tree, request->node, name, NULL, 0, 0);
}
