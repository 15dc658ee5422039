/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/library.h"

#include <dlfcn.h>
#include <errno.h>

int library_load(const char *file, const char *package, const struct library_symbol *symbol,
		 size_t count, struct err *err)
{
	void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
	const char *missing = NULL;
	size_t i;

	for (i = 0; i < count; i++) {
		*symbol[i].to = handle ? dlsym(handle, symbol[i].name) : NULL;
		if (!*symbol[i].to && !missing)
			missing = symbol[i].name;
	}
	if (!missing)
		return 0;
	for (i = 0; i < count; i++)
		*symbol[i].to = NULL;
	if (!handle)
		return err_set(err, ENOENT, "%s is not installed: Debian has it in %s", file,
			       package);
	dlclose(handle);
	return err_set(err, ENOENT, "%s has no function %s: install Debian's %s", file, missing,
		       package);
}
