/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the relay costs: streams, round trips, datagrams and connections between a guest and a
 * server, through the relay's process and through passt. The guest is a source of frames in this
 * process (relay, passt), or the host's own stack behind a tap device (linux-relay, linux-passt).
 * copy: the limit of what is possible, a client through a process that copies bytes between two
 * sockets. Runs in the world of net-world. Prints a line `ID VALUE UNIT` a figure; `cpu.`:
 * processor time of the process in the middle alone, for a MB, datagram, round trip or connection;
 * `passer.`: of the one that passes the frames of the tap, which is the monitor's part.
 *
 *   net-relay SECONDS [MODE[.MEASURE]...]   of each measurement; by default all of all modes
 *   net-relay memory CONNECTIONS            that are open and idle, of the relay
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/net/copy.h"
#include "bench/net/guest.h"
#include "bench/net/idle.h"
#include "bench/net/passt.h"
#include "bench/net/relay_card.h"
#include "bench/net/tap.h"
#include "bench/net/traffic.h"
#include "vmm/base/bytes.h"

#define COPY_ADDRESS "127.0.0.1"

/* Forks a process that ends with this one. */
static pid_t fork_child(void)
{
	pid_t pid = fork();

	if (pid < 0)
		fail("fork");
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

/* --- the copying process ---------------------------------------------------------------------- */

static pid_t copy_start(void)
{
	int ready[2];
	char byte;
	pid_t pid;

	if (pipe(ready) < 0)
		fail("pipe");
	pid = fork_child();
	if (pid == 0) {
		close(ready[0]);
		copy_serve(COPY_ADDRESS, ready[1]);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 0)
		fail("the copying process");
	close(ready[0]);
	measure_server = COPY_ADDRESS;
	return pid;
}

/* --- the whole -------------------------------------------------------------------------------- */

static double cpu_of(pid_t pid)
{
	struct timespec time = {.tv_sec = 0};
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &time) < 0) {
		fprintf(stderr, "net-relay: the process in the middle has ended\n");
		exit(1);
	}
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Passes the frames of a tap, as the monitor does; 0: the source of frames itself does. */
static pid_t passer;

/* Where the measurements are made. */
static enum { CLIENT, FRAMES, LINUX } source;
static int command_fd;

static struct outcome measure_one(enum measure what, double seconds)
{
	if (source == CLIENT)
		return measure(what, seconds);
	return source == FRAMES ? guest_measure(what, seconds) : traffic_measure(command_fd, what);
}

static void measure_all(const char *mode, const char *only, pid_t pid, double seconds)
{
	struct outcome outcome;
	double before, passed;
	unsigned k;

	for (k = 0; k < MEASURES; k++) {
		if (source == CLIENT && k == DATAGRAMS)
			continue; /* it copies streams only */
		if (only && strcmp(only, measure_name[k]) != 0)
			continue;
		before = cpu_of(pid);
		passed = passer ? cpu_of(passer) : 0;
		outcome = measure_one((enum measure)k, seconds);
		printf("%s.%s %.6g %s\n", mode, measure_name[k], outcome.value, measure_unit[k]);
		if (outcome.units > 0)
			printf("%s.cpu.%s %.6g us\n", mode, measure_name[k],
			       1e6 * (cpu_of(pid) - before) / outcome.units);
		if (outcome.units > 0 && passer)
			printf("%s.passer.%s %.6g us\n", mode, measure_name[k],
			       1e6 * (cpu_of(passer) - passed) / outcome.units);
		fflush(stdout);
	}
}

/* Starts the middle; returns its process. The frames of a tap are passed by a child. */
static pid_t start(bool passt, double seconds)
{
	const struct card *card = passt ? &passt_card : &relay_card;
	const struct card_user *user = source == LINUX ? &tap_user : &guest_user;
	int tap_fd = -1, told[2];
	struct loop *loop;
	pid_t pid;

	if (source == LINUX)
		command_fd = traffic_guest(&tap_fd, seconds, card->offload);
	if (pipe(told) < 0)
		fail("pipe");
	if (source == LINUX)
		passer = fork_child();
	if (passer != 0) {
		if (read(told[0], &pid, sizeof(pid)) != sizeof(pid))
			exit(1); /* it has said why */
		return pid;
	}
	if (loop_create(&loop) < 0)
		fail("the loop");
	pid = passt ? passt_start(loop, user) : relay_start(loop, user);
	if (source == FRAMES) {
		guest_create(loop, card);
		return pid;
	}
	tap_create(loop, card, tap_fd);
	if (write(told[1], &pid, sizeof(pid)) != sizeof(pid))
		fail("pipe");
	loop_run(loop);
	exit(0);
}

/* What one mode leaves behind does not concern the next: each has a process of its own. */
static void __attribute__((noreturn)) run_mode(const char *mode, const char *only, double seconds)
{
	bool passt = strcmp(mode, "passt") == 0 || strcmp(mode, "linux-passt") == 0;
	pid_t pid;

	source = strcmp(mode, "copy") == 0 ? CLIENT : mode[0] == 'l' ? LINUX : FRAMES;
	pid = source == CLIENT ? copy_start() : start(passt, seconds);
	measure_all(mode, only, pid, seconds);
	/* With a tap it goes with the child that passes the frames, and that one with this process.
	 */
	if (source != LINUX)
		kill(pid, SIGKILL);
	exit(0);
}

/* The kernel has the server's sockets, too: half of what as many take without a relay. */
static int measure_memory(unsigned count)
{
	const double server = idle_kernel_of_sockets(count);
	struct idle_cost cost;
	struct loop *loop;
	pid_t pid;

	if (loop_create(&loop) < 0)
		fail("the loop");
	pid = relay_start(loop, &idle_user);
	cost = idle_measure(loop, &relay_card, pid, count);
	kill(pid, SIGKILL);
	printf("memory.process %.6g KiB\n", cost.process);
	printf("memory.kernel %.6g KiB\n", cost.kernel > server ? cost.kernel - server : 0);
	return 0;
}

/* measure NULL: all that the mode has. */
static void run_apart(const char *mode, const char *measure, double seconds)
{
	int status;
	pid_t pid = fork_child();

	if (pid == 0)
		run_mode(mode, measure, seconds);
	if (waitpid(pid, &status, 0) < 0 || status != 0)
		exit(1);
}

int main(int argc, char **argv)
{
	static const char *const modes[] = {"copy", "relay", "passt", "linux-relay", "linux-passt"};
	double seconds = argc > 1 ? atof(argv[1]) : 0;
	size_t length;
	unsigned mode;
	int i;

	if (argc == 3 && strcmp(argv[1], "memory") == 0 && atoi(argv[2]) > 0 &&
	    atoi(argv[2]) <= IDLE_MOST)
		return measure_memory((unsigned)atoi(argv[2]));
	if (seconds <= 0) {
		fprintf(stderr, "usage: net-relay SECONDS [MODE[.MEASURE]...]\n"
				"       net-relay memory CONNECTIONS\n");
		return 2;
	}
	for (mode = 0; mode < ARRAY_SIZE(modes); mode++) {
		if (argc == 2)
			run_apart(modes[mode], NULL, seconds);
		length = strlen(modes[mode]);
		for (i = 2; i < argc; i++) {
			if (strncmp(argv[i], modes[mode], length) != 0)
				continue;
			if (argv[i][length] == '.')
				run_apart(modes[mode], argv[i] + length + 1, seconds);
			else if (!argv[i][length])
				run_apart(modes[mode], NULL, seconds);
		}
	}
	return 0;
}
