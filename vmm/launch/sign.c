/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/launch/sign.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* directory may have links in its path; path has none. */
static bool is_beneath(const char *path, const char *directory)
{
	char place[PATH_MAX];
	size_t length;

	if (!realpath(directory, place))
		return false;
	length = strlen(place);
	if (length == 1)
		return true;
	return strncmp(path, place, length) == 0 && path[length] == '/';
}

static int check_place(const char *path, const char *place, const struct policy *policy,
		       const struct root_config *root, struct err *err)
{
	const char *seen = root && root->directory[0] && is_beneath(place, root->directory)
				   ? root->directory
				   : NULL;
	size_t i;

	for (i = 0; !seen && i < policy_share_count(policy); i++)
		if (is_beneath(place, policy_share(policy, i)->host))
			seen = policy_share(policy, i)->host;
	if (!seen)
		return 0;
	return err_set(err, EINVAL, "key %s is within %s, which the guest sees: keep it elsewhere",
		       path, seen);
}

int sign_check(const char *path, const struct policy *policy, const struct root_config *root,
	       struct err *err)
{
	return check_place(path, path, policy, root, err);
}

int sign_load(struct audit_key **key, const char *path, const struct policy *policy,
	      const struct root_config *root, struct err *err)
{
	char place[PATH_MAX];
	int ret;

	*key = NULL;
	if (!path)
		return 0;
	if (!realpath(path, place))
		return err_sys(err, "key %s", path);
	ret = check_place(path, place, policy, root, err);
	return ret < 0 ? ret : audit_key_read(key, place, err);
}
