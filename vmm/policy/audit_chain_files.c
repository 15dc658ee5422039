/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/policy/audit_chain_files.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vmm/base/new_file.h"

void audit_file(char path[AUDIT_PATH_MAX], const char *base, enum audit_part part, unsigned number)
{
	const char *ending = part == AUDIT_DENIALS ? ".denials" : "";

	if (number == 0)
		snprintf(path, AUDIT_PATH_MAX, "%s%s", base, ending);
	else
		snprintf(path, AUDIT_PATH_MAX, "%s%s.%u", base, ending, number);
}

void audit_chain_file(const struct audit_chain *chain, unsigned number, char path[AUDIT_PATH_MAX])
{
	audit_file(path, chain->base, chain->part, number);
}

void audit_chain_new(const struct audit_chain *chain, char path[AUDIT_PATH_MAX])
{
	snprintf(path, AUDIT_PATH_MAX, "%s%s.new", chain->base,
		 chain->part == AUDIT_DENIALS ? ".denials" : "");
}

static int at(const struct audit_chain *chain)
{
	return chain->directory ? *chain->directory : AT_FDCWD;
}

static const char *name_of(const struct audit_chain *chain, const char *path)
{
	const char *slash = chain->directory ? strrchr(path, '/') : NULL;

	return slash ? slash + 1 : path;
}

int audit_chain_open_file(const struct audit_chain *chain, const char *path, int flags)
{
	return openat(at(chain), name_of(chain, path), flags, 0600);
}

int audit_chain_stat(const struct audit_chain *chain, const char *path, struct stat *status)
{
	return fstatat(at(chain), name_of(chain, path), status, 0);
}

int audit_chain_rename(const struct audit_chain *chain, const char *from, const char *to)
{
	return renameat(at(chain), name_of(chain, from), at(chain), name_of(chain, to));
}

int audit_chain_rename_new(const struct audit_chain *chain, const char *from, const char *to)
{
	return new_file_rename(at(chain), name_of(chain, from), name_of(chain, to));
}

int audit_chain_unlink(const struct audit_chain *chain, const char *path)
{
	return unlinkat(at(chain), name_of(chain, path), 0);
}
