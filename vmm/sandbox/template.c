/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/sandbox/template.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/base/directory.h"
#include "vmm/base/new_file.h"
#include "vmm/image/file_digest.h"
#include "vmm/machine/agent_link.h"
#include "vmm/machine/snapshot_format.h"
#include "vmm/sandbox/shares.h"

#define TEMPLATE_SUFFIX ".template"
#define ENTRIES_MAX	4096
#define BOOT_ID_BYTES	36

static const struct snapshot_owned sections[] = {
	{TEMPLATE_SECTION_AGENT, 1},
	{SHARES_SECTION_SESSION, 1},
};

/* --- the directory ---------------------------------------------------------------------------- */

static int find_directory(char path[PATH_MAX], struct err *err)
{
	return directory_in_cache("templates", path, err);
}

/* --- the key ---------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static void add(struct template *template, size_t *used,
						      const char *fmt, ...)
{
	va_list ap;
	int n;

	if (*used >= sizeof(template->key))
		return;
	va_start(ap, fmt);
	n = vsnprintf(template->key + *used, sizeof(template->key) - *used, fmt, ap);
	va_end(ap);
	*used += n > 0 ? (size_t)n : 0;
}

/* The contents count: a file that was installed again needs no other template. */
static int add_file(struct template *template, size_t *used, const char *what, const char *path,
		    const char *directory, struct err *err)
{
	struct digest digest;
	int ret;

	if (!path) {
		add(template, used, "%s none\n", what);
		return 0;
	}
	ret = file_digest(&digest, path, directory, err);
	if (ret == 0)
		add(template, used, "%s sha256:%s\n", what, digest.hex);
	return ret;
}

/*
 * A reboot of the host resets the processor's counter, and the processor may be another: no old
 * template works then.
 */
static void read_boot_id(char id[BOOT_ID_BYTES + 1])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? fd_read_full(fd, id, BOOT_ID_BYTES) : 0;

	fd_close(&fd);
	id[n > 0 ? n : 0] = '\0';
}

/* The part of the key that this program has in common with all templates that it can use. */
static int begin_key(struct template *template, size_t *used, const char *directory,
		     struct err *err)
{
	char boot[BOOT_ID_BYTES + 1];

	read_boot_id(boot);
	add(template, used, "cordon %s format %d\nboot %s\n", CORDON_VERSION, SNAPSHOT_VERSION,
	    boot);
	return add_file(template, used, "program", "/proc/self/exe", directory, err);
}

int template_find(struct template *template, const struct machine_config *config, struct err *err)
{
	const char *append = config->cmdline_append ? config->cmdline_append : "";
	size_t used = 0;
	int ret = find_directory(template->path, err);

	if (ret == 0)
		ret = begin_key(template, &used, template->path, err);
	if (ret == 0)
		ret = add_file(template, &used, "kernel", config->kernel, template->path, err);
	if (ret == 0)
		ret = add_file(template, &used, "initrd", config->initrd, template->path, err);
	add(template, &used, "memory %llu\ncpus %u\nqueues %u %u\ncmdline %s\n",
	    (unsigned long long)config->memory, config->cpus,
	    config->queues.disk ? config->queues.disk : 1,
	    config->queues.net ? config->queues.net : 1, append);
	if (ret == 0 && used >= sizeof(template->key))
		ret = err_set(err, E2BIG, "what the template is made from is too long to note");
	if (ret < 0)
		return ret;
	/* Two checksums make the file's name; template_open() compares the whole key. */
	snprintf(template->path + strlen(template->path), 64, "/%08lx%08lx" TEMPLATE_SUFFIX,
		 crc32(0, (const Bytef *)template->key, (uInt)used),
		 adler32(1, (const Bytef *)template->key, (uInt)used));
	return 0;
}

int template_check(const struct template *template, const struct machine_config *config,
		   struct err *err)
{
	static struct template now;
	int ret;

	now = (struct template){.key = ""};
	ret = template_find(&now, config, err);
	if (ret < 0 || strcmp(now.key, template->key) == 0)
		return ret;
	return err_set(err, ESTALE, "the guest's kernel or initramfs was replaced meanwhile");
}

/* --- use -------------------------------------------------------------------------------------- */

int template_open(const struct template *template, struct snapshot *snapshot, struct err *err)
{
	const struct snapshot_owner owner = {.section = sections,
					     .section_count = ARRAY_SIZE(sections)};
	int ret = snapshot_open(snapshot, template->path, &owner, err);

	if (ret < 0)
		return ret;
	if (strcmp(snapshot->key, template->key) != 0) {
		snapshot_close(snapshot);
		return err_set(err, ESTALE, "%s: is a template of something else", template->path);
	}
	/* The modification time records the last use: access times are often not kept. */
	futimens(snapshot->fd, NULL);
	return 0;
}

static int by_use(const void *a, const void *b)
{
	time_t left = ((const struct template_entry *)a)->used;
	time_t right = ((const struct template_entry *)b)->used;

	return left < right ? -1 : left > right;
}

/* Removes the least recently used templates until the rest fits. The newest always stays. */
static void evict(void)
{
	struct template_entry *entries;
	struct err err;
	char directory[PATH_MAX];
	uint64_t sum = 0;
	int i, count;

	if (find_directory(directory, &err) == 0)
		snapshot_sweep(directory, TEMPLATE_SUFFIX);
	count = template_list(&entries, &err);
	if (count < 0)
		return;
	for (i = 0; i < count; i++)
		sum += entries[i].bytes;
	for (i = 0; i < count - 1 && sum > TEMPLATE_CACHE_MAX; i++) {
		sum -= entries[i].bytes;
		template_remove(entries[i].name, &err);
	}
	free(entries);
}

struct saving {
	struct machine *machine;
	struct shares *shares;
};

/* Without the agent's section it connects again after a restore, which takes longer. */
static int save_owned(void *arg, struct pack *state, struct err *err)
{
	const struct saving *saving = arg;
	struct pack payload = {.data = NULL};

	if (agent_link_save(saving->machine, &payload))
		snapshot_add_section(state, TEMPLATE_SECTION_AGENT, 0, &payload);
	pack_free(&payload);
	return shares_save(saving->shares, false, state, err);
}

bool template_keeps_agent(const struct snapshot *snapshot)
{
	struct unpack payload;

	return snapshot_find(snapshot, TEMPLATE_SECTION_AGENT, 0, &payload);
}

int template_resume_agent(const struct snapshot *snapshot, struct machine *machine, struct err *err)
{
	struct unpack payload;

	if (!snapshot_find(snapshot, TEMPLATE_SECTION_AGENT, 0, &payload))
		return 0;
	return agent_link_resume(machine, &payload, err);
}

int template_save(const struct template *template, struct machine *machine, struct shares *shares,
		  struct err *err)
{
	struct saving saving = {.machine = machine, .shares = shares};
	const struct snapshot_owner owner = {
		.section = sections,
		.section_count = ARRAY_SIZE(sections),
		.save = save_owned,
		.arg = &saving,
	};
	struct new_file file;
	int ret = new_file_open_path(&file, template->path);

	if (ret < 0)
		return err_code(err, -ret, "%s", template->path);
	ret = snapshot_write(machine, &owner, file.fd, template->key, err);
	if (ret == 0) {
		ret = new_file_finish(&file, true);
		if (ret < 0)
			err_code(err, -ret, "%s", template->path);
	}
	new_file_close(&file);
	if (ret == 0)
		evict();
	return ret;
}

/* --- the list --------------------------------------------------------------------------------- */

static bool is_template_name(const char *name)
{
	size_t length = strlen(name), suffix = strlen(TEMPLATE_SUFFIX);

	return length > suffix && length < sizeof(((struct template_entry *)0)->name) &&
	       strcmp(name + length - suffix, TEMPLATE_SUFFIX) == 0 && !strchr(name, '/');
}

static bool read_entry(int directory, const char *name, struct template_entry *entry)
{
	struct stat status;

	if (!is_template_name(name) || fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISREG(status.st_mode))
		return false;
	*entry = (struct template_entry){
		.bytes = (uint64_t)status.st_blocks * 512,
		.used = status.st_mtime,
	};
	memcpy(entry->name, name,
	       strlen(name) + 1); /* is_template_name() has checked that it fits */
	return true;
}

/* What the file says of itself; one that cannot be read is stale. */
static void describe(const char *directory, const struct template *current,
		     struct template_entry *entry)
{
	const struct snapshot_owner owner = {.section = sections,
					     .section_count = ARRAY_SIZE(sections)};
	struct snapshot snapshot;
	char path[PATH_MAX];
	struct err why;

	entry->stale = true;
	if (snprintf(path, sizeof(path), "%s/%s", directory, entry->name) >= (int)sizeof(path) ||
	    snapshot_open(&snapshot, path, &owner, &why) < 0)
		return;
	entry->memory = snapshot.memory;
	entry->cpus = snapshot.cpus;
	sscanf(snapshot.key, "cordon %31s", entry->version);
	entry->stale = strncmp(snapshot.key, current->key, strlen(current->key)) != 0;
	snapshot_close(&snapshot);
}

int template_describe(struct template_entry *entries, int count, struct err *err)
{
	struct template current = {.key = ""};
	char directory[PATH_MAX];
	size_t used = 0;
	int i, ret = find_directory(directory, err);

	if (ret == 0)
		ret = begin_key(&current, &used, directory, err);
	for (i = 0; ret == 0 && i < count; i++)
		describe(directory, &current, &entries[i]);
	return ret;
}

int template_list(struct template_entry **entries, struct err *err)
{
	struct template_entry *list;
	char path[PATH_MAX];
	struct dirent *item;
	int count = 0, ret;
	DIR *directory;

	*entries = NULL;
	ret = find_directory(path, err);
	if (ret < 0)
		return ret;
	directory = opendir(path);
	if (!directory)
		return err_sys(err, "%s", path);
	list = calloc(ENTRIES_MAX, sizeof(*list));
	while (list && count < ENTRIES_MAX && (item = readdir(directory)))
		if (read_entry(dirfd(directory), item->d_name, &list[count]))
			count++;
	closedir(directory);
	if (!list)
		return err_set(err, ENOMEM, "out of memory");
	qsort(list, (size_t)count, sizeof(*list), by_use);
	*entries = list;
	return count;
}

int template_remove_stale(struct err *err)
{
	struct template_entry *entries;
	int i, removed = 0, count = template_list(&entries, err), ret;
	char directory[PATH_MAX];

	if (count < 0)
		return count;
	if (find_directory(directory, err) == 0)
		snapshot_sweep(directory, TEMPLATE_SUFFIX);
	ret = template_describe(entries, count, err);
	for (i = 0; ret >= 0 && i < count; i++) {
		if (!entries[i].stale)
			continue;
		ret = template_remove(entries[i].name, err);
		removed += ret > 0 ? ret : 0;
	}
	free(entries);
	return ret < 0 ? ret : removed;
}

int template_remove(const char *name, struct err *err)
{
	struct template_entry *entries;
	char path[PATH_MAX];
	int i, count, removed = 0, directory;

	count = template_list(&entries, err);
	if (count < 0)
		return count;
	if (find_directory(path, err) == 0 && !name)
		snapshot_sweep(path, TEMPLATE_SUFFIX);
	directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (i = 0; i < count; i++)
		if ((!name || strncmp(entries[i].name, name, strlen(name)) == 0) &&
		    unlinkat(directory, entries[i].name, 0) == 0)
			removed++;
	fd_close(&directory);
	free(entries);
	return removed;
}
