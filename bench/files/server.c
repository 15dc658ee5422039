/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file server's own cost: FUSE requests of a client in the same process, without a guest and a
 * process between, with no policy and with one of 1,000 rules (.rules); and the system calls of a
 * program on the host (.host). Each name of a path is looked up, as of a share that the guest keeps
 * nothing of. Then a tree of FILES files: list, stat and read of each. Prints a line `ID VALUE
 * UNIT` a figure.
 *
 *   files-server DIRECTORY SECONDS FILES     (SECONDS: of each measurement)
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/files/measures.h"
#include "vmm/base/bytes.h"

/* --- single operations, by requests and on the host ------------------------------------------- */

static uint64_t parent, big_node, big_fh;

static void lookup_request(void)
{
	struct fuse_entry_out entry;

	need(fc_lookup(client, parent, "f", &entry) == 0);
}

static void stat_request(void)
{
	struct fuse_attr attr;

	need(fc_stat(client, "a/b/f", &attr) == 0);
}

static void open_request(void)
{
	need(fc_cat(client, "a/b/f", data, 4096) == 0);
}

static void create_request(void)
{
	uint64_t node, fh;

	need(fc_go(client, "a/b", &parent) == 0);
	need(fc_create(client, parent, "new", O_RDWR | O_EXCL, 0644, &node, &fh) == 0);
	need(fc_write(client, node, fh, 0, data, 4096, 0) == 0);
	need(fc_release(client, node, fh) == 0);
	need(fc_unlink(client, parent, "new") == 0);
	need(fc_forget(client, node, 1) == FC_NONE);
}

static void create_host(void)
{
	const char *path = host_path(&host, "a/b/new");
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);

	need(write(fd, data, 4096) == 4096);
	close(fd);
	need(unlink(path) == 0);
}

static void list_request(void)
{
	need(fc_ls(client, "many", data, BIG) == 0);
}

static void list_host(void)
{
	DIR *directory = opendir(host_path(&host, "many"));

	while (readdir(directory))
		;
	closedir(directory);
}

static void read_request(void)
{
	size_t n;

	need(fc_read(client, big_node, big_fh, 0, BIG, data, &n) == 0 && n == BIG);
}

static void write_request(void)
{
	need(fc_write(client, big_node, big_fh, 0, data, BIG, 0) == 0);
}

static void write_host(void)
{
	need(pwrite(big_fd, data, BIG, 0) == BIG);
}

static const struct {
	const char *name;
	void (*by_request)(void), (*on_host)(void);
	bool big;
} operations[] = {
	{"lookup", lookup_request, stat_host, false},
	{"stat", stat_request, stat_host, false},
	{"read-small", open_request, read_small_host, false},
	{"create", create_request, create_host, false},
	{"list", list_request, list_host, false},
	{"read-big", read_request, read_big_host, true},
	{"write-big", write_request, write_host, true},
};

/* --- a whole tree ----------------------------------------------------------------------------- */

static char path[256];

static void make_tree(unsigned files)
{
	unsigned i;

	host_mkdir(&host, "tree");
	for (i = 0; i < files; i++) {
		if (i % 100 == 0) {
			snprintf(path, sizeof(path), "tree/%u", i / 100);
			host_mkdir(&host, path);
		}
		snprintf(path, sizeof(path), "tree/%u/file-%u", i / 100, i);
		host_write(&host, path, "some text that a source file could begin with\n");
	}
}

/* As tar does it: lists each directory, stats and reads each file. */
static double tree_request(unsigned files)
{
	double start = now();
	struct fuse_attr attr;
	char text[256];
	unsigned i;

	for (i = 0; i < files; i++) {
		snprintf(path, sizeof(path), "tree/%u", i / 100);
		if (i % 100 == 0)
			need(fc_ls(client, path, data, BIG) == 0);
		snprintf(path, sizeof(path), "tree/%u/file-%u", i / 100, i);
		need(fc_stat(client, path, &attr) == 0);
		need(fc_cat(client, path, text, sizeof(text)) == 0);
	}
	return now() - start;
}

static double tree_host(unsigned files)
{
	struct stat status;
	double start = now();
	char text[256];
	unsigned i;
	int fd;

	for (i = 0; i < files; i++) {
		snprintf(path, sizeof(path), "tree/%u", i / 100);
		if (i % 100 == 0)
			closedir(opendir(host_path(&host, path)));
		snprintf(path, sizeof(path), "tree/%u/file-%u", i / 100, i);
		need(lstat(host_path(&host, path), &status) == 0);
		fd = open(host_path(&host, path), O_RDONLY | O_CLOEXEC);
		need(read(fd, text, sizeof(text)) > 0);
		close(fd);
	}
	return now() - start;
}

/* --- */

static void prepare(const char *rules, unsigned files)
{
	struct fuse_open_out opened;
	char name[32];
	unsigned i;

	begin_host(rules);
	host_mkdir(&host, "many");
	for (i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "many/name-%u", i);
		host_write(&host, name, "");
	}
	need(fc_go(client, "a/b", &parent) == 0);
	need(fc_go(client, "big", &big_node) == 0);
	need(fc_open(client, big_node, O_RDWR, &opened) == 0);
	big_fh = opened.fh;
	make_tree(files);
}

static void show(unsigned i, const char *suffix, double rate)
{
	if (operations[i].big)
		printf("%s%s %.6g MB/s\n", operations[i].name, suffix, rate * BIG / 1e6);
	else
		printf("%s%s %.6g 1/s\n", operations[i].name, suffix, rate);
}

/* The host's figures are taken beside those without rules. */
static void measure_all(const char *rules, unsigned files)
{
	const char *suffix = rules ? ".rules" : "";
	unsigned i;

	prepare(rules, files);
	for (i = 0; i < ARRAY_SIZE(operations); i++) {
		show(i, suffix, measure(operations[i].by_request));
		if (!rules)
			show(i, ".host", measure(operations[i].on_host));
	}
	tree_host(files);
	printf("tree%s %.6g ms\n", suffix, tree_request(files) * 1e3);
	if (!rules)
		printf("tree.host %.6g ms\n", tree_host(files) * 1e3);
	end_host();
}

int main(int argc, char **argv)
{
	unsigned files = argc == 4 ? (unsigned)atoi(argv[3]) : 0;
	char *rules = make_rules();

	seconds = argc == 4 ? atof(argv[2]) : 0;
	if (files == 0 || seconds <= 0) {
		fprintf(stderr, "usage: files-server DIRECTORY SECONDS FILES\n");
		return 2;
	}
	files_host_directory = argv[1];
	measure_all(NULL, files);
	measure_all(rules, files);
	free(rules);
	return end_measures("files-server");
}
