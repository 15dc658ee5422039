/* SPDX-License-Identifier: Apache-2.0 */
/*
 * readers COUNT FILE: so many threads look a file up, open and read it at the same time. Prints a
 * line when all have begun, and one with the number of those that read something when all have
 * ended.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define STACK_SIZE 32768

static atomic_uint begun, done;

static void *read_it(void *path)
{
	char text[4096];
	int fd;

	atomic_fetch_add(&begun, 1);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && read(fd, text, sizeof(text)) > 0)
		atomic_fetch_add(&done, 1);
	close(fd);
	return NULL;
}

int main(int argc, char **argv)
{
	unsigned count = argc == 3 ? (unsigned)atoi(argv[1]) : 0, i;
	pthread_t *thread = calloc(count + 1, sizeof(*thread));
	pthread_attr_t attributes;

	if (!thread || count == 0)
		return 2;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	for (i = 0; i < count; i++)
		if (pthread_create(&thread[i], &attributes, read_it, argv[2]) != 0)
			return 3;
	while (atomic_load(&begun) < count)
		usleep(10000);
	printf("begun\n");
	fflush(stdout);
	for (i = 0; i < count; i++)
		pthread_join(thread[i], NULL);
	printf("%u\n", atomic_load(&done));
	return 0;
}
