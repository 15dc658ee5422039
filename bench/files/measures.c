/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/files/measures.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RULES 1000

struct files_host host;
struct fuse_client *const client = &host.client;
char data[BIG];
double seconds;
bool failed;
int big_fd = -1;
static struct files_quota quota;

double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

void need(bool good)
{
	failed = failed || !good;
}

double measure(void (*operation)(void))
{
	double start = now(), end;
	unsigned long count = 0, i;

	do {
		for (i = 0; i < 50; i++)
			operation();
		count += i;
		end = now();
	} while (end - start < seconds);
	return (double)count / (end - start);
}

char *make_rules(void)
{
	char *rules = malloc(RULES * 64u), *at = rules;
	unsigned i;

	for (i = 0; i < RULES - 2; i++)
		at += sprintf(at,
			      i % 2 ? "file deny /w/private-%u/**\n" : "file hide /w/**/.hide-%u\n",
			      i);
	strcpy(at, "file write /w/**\n");
	return rules;
}

void begin_host(const char *rules)
{
	files_host_begin(&host, rules, false);
	/* As of shares without owner=host, under the limits that a policy without any has. */
	host.share.remember = true;
	files_quota_begin(&quota, UINT64_C(64) << 30, 4000000);
	host.share.quota = &quota;
	host_mkdir(&host, "a");
	host_mkdir(&host, "a/b");
	memset(data, 'x', 4000);
	data[4000] = '\0';
	host_write(&host, "a/b/f", data);
	host_write(&host, "big", "");
	big_fd = open(host_path(&host, "big"), O_RDWR | O_CLOEXEC);
	need(pwrite(big_fd, data, BIG, 0) == BIG);
}

void end_host(void)
{
	close(big_fd);
	files_host_end(&host);
	files_quota_end(&quota);
}

void stat_host(void)
{
	struct stat status;

	need(lstat(host_path(&host, "a/b/f"), &status) == 0);
}

void read_small_host(void)
{
	int fd = open(host_path(&host, "a/b/f"), O_RDONLY | O_CLOEXEC);

	need(read(fd, data, 4096) >= 0);
	close(fd);
}

void read_big_host(void)
{
	need(pread(big_fd, data, BIG, 0) == BIG);
}

int end_measures(const char *program)
{
	if (failed)
		fprintf(stderr, "%s: an operation failed: the figures are invalid\n", program);
	return failed;
}
