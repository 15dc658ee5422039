/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on files, by name. */
#include "tests/attack/guest.h"

long attack_open_read(void)
{
	return DO(__NR_openat, AT_HERE, at(path), 0);
}

long attack_open_old(void)
{
	return DO(__NR_open, at(path), 0);
}

long attack_open_new_call(void)
{
	words[0] = words[1] = words[2] = 0;
	return DO(__NR_openat2, AT_HERE, at(path), at(words), 24);
}

long attack_create(void)
{
	return DO(__NR_openat, AT_HERE, at(other), 0102 /* O_RDWR, O_CREAT */, 0600);
}

long attack_overwrite(void)
{
	return DO(__NR_openat, AT_HERE, at(path), 01001 /* O_WRONLY, O_TRUNC */);
}

long attack_unnamed(void)
{
	return DO(__NR_openat, AT_HERE, at(other), 020200002 /* O_RDWR, O_TMPFILE */, 0600);
}

long attack_make_directory(void)
{
	return DO(__NR_mkdirat, AT_HERE, at(other), 0700);
}

long attack_make_node(void)
{
	return DO(__NR_mknodat, AT_HERE, at(other), 0010600 /* a FIFO */, 0);
}

long attack_remove_file(void)
{
	return DO(__NR_unlinkat, AT_HERE, at(path), 0);
}

long attack_move(void)
{
	return DO(__NR_renameat, AT_HERE, at(path), AT_HERE, at(other));
}

long attack_make_symlink(void)
{
	return DO(__NR_symlinkat, at(path), AT_HERE, at(other));
}

long attack_make_link(void)
{
	return DO(__NR_linkat, AT_HERE, at(path), AT_HERE, at(other), 0);
}

long attack_change_mode(void)
{
	return DO(__NR_fchmodat, AT_HERE, at(path), 0777);
}

long attack_change_owner(void)
{
	return DO(__NR_fchownat, AT_HERE, at(path), 0, 0, 0);
}

long attack_cut(void)
{
	return DO(__NR_truncate, at(path), 0);
}

long attack_look(void)
{
	return DO(__NR_newfstatat, AT_HERE, at(path), at(room), 0);
}

long attack_may_access(void)
{
	return DO(__NR_faccessat, AT_HERE, at(path), 4);
}

long attack_read_link(void)
{
	return DO(__NR_readlinkat, AT_HERE, at("/proc/self/exe"), at(room), sizeof(room));
}

long attack_set_times(void)
{
	return DO(__NR_utimensat, AT_HERE, at(path), 0, 0);
}

long attack_set_attribute(void)
{
	return DO(__NR_setxattr, at(path), at("user.attack"), at("x"), 1, 0);
}

long attack_make_handle(void)
{
	words[0] = 128; /* handle_bytes */
	*(uint32_t *)(void *)room = 128;
	return DO(__NR_name_to_handle_at, AT_HERE, at(path), at(room), at(words), 0);
}

long attack_list_directory(void)
{
	long fd = DO(__NR_openat, AT_HERE, at("/"), 0200000 /* O_DIRECTORY */);

	return fd < 0 ? fd : DO(__NR_getdents64, fd, at(room), sizeof(room));
}

/* `..` of every descriptor that the monitor has. */
long attack_climb(void)
{
	static char up[600] = "../../../../../../../../../../../../";
	long fd, ret = -2;
	unsigned i, end = 0;

	while (up[end])
		end++;
	for (i = 0; path[i]; i++)
		up[end + i] = path[i];
	for (fd = 0; fd < 1100 && ret < 0; fd++)
		ret = DO(__NR_openat, fd, at(up + 0), 0);
	return ret;
}

long attack_change_root(void)
{
	return DO(__NR_chroot, at("/"));
}

long attack_change_directory(void)
{
	return DO(__NR_chdir, at(path));
}

long attack_watch_file(void)
{
	long fd = DO(__NR_inotify_init1, 0);

	return fd < 0 ? fd : DO(__NR_inotify_add_watch, fd, at(path), 2);
}

long attack_watch_system(void)
{
	return DO(__NR_fanotify_init, 0, 0);
}
