/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/image/convert.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/random.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/base/progress.h"
#include "vmm/base/signals.h"
#include "vmm/image/manifest.h"
#include "vmm/image/unpack.h"

static int fill(int fd, const char *path, const char *ref, struct digest *id, struct err *err)
{
	static struct image_manifest manifest;
	struct image_source source = {.fd = -1};
	struct image_counts counts;
	int ret = image_source_open(&source, path, err);

	if (ret == 0) {
		progress_begin("converting %s", source.path);
		ret = image_manifest_read(&manifest, &source, ref, err);
		if (ret == 0)
			ret = image_unpack_erofs(&manifest, &source, fd, &image_limits_default,
						 &counts, err);
		*id = manifest.id;
		image_manifest_clear(&manifest);
		progress_end();
	}
	image_source_close(&source);
	return ret;
}

int image_convert(const char *path, const char *ref, const char *file, struct digest *id,
		  struct err *err)
{
	char temporary[PATH_MAX];
	uint64_t number = 0;
	int fd, ret;

	if (getrandom(&number, sizeof(number), 0) < 0)
		return err_sys(err, "a random number");
	if ((size_t)snprintf(temporary, sizeof(temporary), "%s.%016llx", file,
			     (unsigned long long)number) >= sizeof(temporary))
		return err_code(err, ENAMETOOLONG, "%.200s", file);
	signals_hold();
	fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
	ret = fd < 0 ? err_sys(err, "%.200s", temporary) : fill(fd, path, ref, id, err);
	if (ret == 0 && fsync(fd) < 0)
		ret = err_sys(err, "writing %.200s", file);
	if (ret == 0 && rename(temporary, file) < 0)
		ret = err_sys(err, "%.200s", file);
	if (ret < 0 && fd >= 0)
		unlink(temporary);
	fd_close(&fd);
	signals_release();
	return ret;
}
