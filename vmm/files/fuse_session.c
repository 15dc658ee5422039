/* SPDX-License-Identifier: Apache-2.0 */
/* FUSE: sessions and their roots. */
#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/files/fuse_internal.h"
#include "vmm/files/remember_table.h"

int fuse_session_create(struct fuse_session **out, const struct fuse_session_config *config)
{
	struct fuse_session *session = calloc(1, sizeof(*session));
	unsigned i;

	if (session)
		session->table = remember_table_create();
	if (!session || !session->table) {
		free(session);
		*out = NULL;
		return -ENOMEM;
	}
	*out = session;
	session->proc_fd = reopen_begin();
	if (config)
		session->config = *config;
	if (session->config.max_write == 0 || session->config.max_write > FUSED_DATA_MAX)
		session->config.max_write = FUSED_DATA_MAX;
	session->usage.nodes_max = FUSED_NODES_MAX;
	session->usage.open_max = FUSED_OPEN_MAX;
	pthread_mutex_init(&session->names, NULL);
	pthread_mutex_init(&session->mutex, NULL);
	for (i = 0; i < FUSED_ROOTS_MAX; i++) {
		session->roots[i].session = session;
		session->roots[i].index = i;
		pthread_mutex_init(&session->roots[i].mutex, NULL);
		pthread_cond_init(&session->roots[i].idle, NULL);
	}
	return 0;
}

/* Uses the system call, which affects this thread alone. */
int fuse_session_enter(void)
{
	umask(0);
	return geteuid() == 0 && syscall(SYS_setgroups, 0, NULL) < 0 ? -errno : 0;
}

/* With the root's mutex: what the guest has of it. The root's own node stays. */
static void forget_all(struct fuse_root *root)
{
	struct fuse_handle *handle;
	uint32_t i;

	for (i = 0; i < root->handles.used; i++) {
		handle = root->handles.slot[i].item;
		if (handle)
			fuse_handle_release(root, handle);
	}
	fuse_node_forget_all(root);
}

static void close_root(struct fuse_root *root)
{
	root->used = false;
	while (root->busy > 0)
		pthread_cond_wait(&root->idle, &root->mutex);
	forget_all(root);
	fuse_late_end(root);
	tree_end(root->tree);
	free(root->tree);
	root->tree = NULL;
	fuse_table_end(&root->nodes);
	fuse_table_end(&root->handles);
}

void fuse_session_destroy(struct fuse_session *session)
{
	struct fuse_root *root;
	unsigned i;

	if (!session)
		return;
	for (i = 0; i < FUSED_ROOTS_MAX; i++) {
		root = &session->roots[i];
		pthread_mutex_lock(&root->mutex);
		if (root->used)
			close_root(root);
		pthread_mutex_unlock(&root->mutex);
		fuse_late_end(root);
		pthread_mutex_destroy(&root->mutex);
		pthread_cond_destroy(&root->idle);
	}
	remember_table_destroy(session->table);
	fd_close(&session->proc_fd);
	pthread_mutex_destroy(&session->names);
	pthread_mutex_destroy(&session->mutex);
	free(session);
}

/* --- roots ------------------------------------------------------------------------------------ */

static struct fuse_root *find_root(struct fuse_session *session, const char *name)
{
	unsigned i;

	for (i = 0; i < FUSED_ROOTS_MAX; i++)
		if (session->roots[i].used && strcmp(session->roots[i].name, name) == 0)
			return &session->roots[i];
	return NULL;
}

static int open_root(struct fuse_root *root, struct files_share *share)
{
	root->tree = malloc(sizeof(*root->tree));
	if (!root->tree)
		return -ENOMEM;
	fuse_table_begin(&root->nodes, root->index);
	fuse_table_begin(&root->handles, root->index);
	/* The root's own node is always in slot 0. */
	if (tree_begin(root->tree, share, &root->session->usage) == 0 &&
	    fuse_table_add(&root->nodes, root->tree->root) == 0) {
		root->tree->table = root->session->table;
		root->tree->proc_fd = root->session->proc_fd;
		return 0;
	}
	tree_end(root->tree);
	free(root->tree);
	root->tree = NULL;
	fuse_table_end(&root->nodes);
	return -ENOMEM;
}

int fuse_session_add(struct fuse_session *session, const char *name, struct files_share *share,
		     enum fused_cache cache)
{
	unsigned index = 0;

	while (index < FUSED_ROOTS_MAX && session->roots[index].used)
		index++;
	return fuse_session_add_at(session, index, name, share, cache);
}

int fuse_session_add_at(struct fuse_session *session, unsigned index, const char *name,
			struct files_share *share, enum fused_cache cache)
{
	struct fuse_root *root = session->roots + index;
	struct name text = {.length = strlen(name)};
	int ret = 0;

	if (text.length > FUSED_ROOT_NAME_MAX || (session->config.no_open && !share->read_only))
		return -EINVAL;
	memcpy(text.text, name, text.length + 1);
	if (!name_is_good(&text))
		return -EINVAL;
	pthread_mutex_lock(&session->names);
	if (find_root(session, name))
		ret = -EEXIST;
	if (ret == 0 && (index >= FUSED_ROOTS_MAX || root->used))
		ret = -ENOSPC;
	if (ret == 0) {
		pthread_mutex_lock(&root->mutex);
		ret = open_root(root, share);
		memcpy(root->name, name, text.length + 1);
		root->cache = cache;
		root->used = ret == 0;
		fuse_root_unlock(root);
	}
	pthread_mutex_unlock(&session->names);
	return ret;
}

int fuse_session_remove(struct fuse_session *session, const char *name)
{
	struct fuse_root *root;

	pthread_mutex_lock(&session->names);
	root = find_root(session, name);
	if (root) {
		pthread_mutex_lock(&root->mutex);
		close_root(root);
		fuse_root_unlock(root);
		fuse_wake_all(session, (int)root->index);
	}
	pthread_mutex_unlock(&session->names);
	return root ? 0 : -ENOENT;
}

void fuse_session_reset(struct fuse_session *session)
{
	struct fuse_root *root;
	unsigned i;

	for (i = 0; i < FUSED_ROOTS_MAX; i++) {
		root = &session->roots[i];
		pthread_mutex_lock(&root->mutex);
		if (root->used)
			forget_all(root);
		fuse_root_unlock(root);
	}
	/* What waited finds that its lock and file are gone. */
	fuse_wake_all(session, -1);
}

void fuse_session_stats(struct fuse_session *session, struct fuse_session_stats *out)
{
	*out = (struct fuse_session_stats){
		.requests = session->requests,
		.refused = session->usage.refused,
		.nodes = session->usage.nodes,
		.open = session->usage.open,
		.locks = session->locks,
	};
	pthread_mutex_lock(&session->mutex);
	out->waiting = session->waits;
	pthread_mutex_unlock(&session->mutex);
}
