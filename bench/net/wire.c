/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Throughput of passt, with and without the filter in front of it: a wire between passt and a tap
 * device in a network namespace of its own, whose stack stands for the guest's. There is no guest,
 * so only passt and the filter count. Runs in the world of net-world. Prints a line `ID VALUE UNIT`
 * a figure: `passt.` without the filter, `filter.` with it; `cpu.`, processor time of passt and the
 * wire for a MB, datagram, round trip or connection.
 *
 *   net-wire SECONDS     of each measurement
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/net/traffic.h"
#include "vmm/base/bytes.h"
#include "vmm/base/loop.h"
#include "vmm/net/filter.h"
#include "vmm/net/passt.h"

/* --- the wire --------------------------------------------------------------------------------- */

static struct wire {
	struct loop *loop;
	struct loop_source tap;
	struct passt *passt;
	struct filter *filter; /* NULL: none */
} wire;

static void to_guest(void *arg, const uint8_t *frame, size_t length)
{
	(void)arg;
	/* A full queue drops the frame, as any network does. */
	if (write(wire.tap.fd, frame, length) < 0 && errno != EAGAIN && errno != ENOBUFS)
		fail("the tap device");
}

static void to_peer(void *arg, const uint8_t *frame, size_t length)
{
	(void)arg;
	passt_send(wire.passt, frame, length);
}

static void tap_ready(void *arg, uint32_t events)
{
	static uint8_t frame[FRAME_MAX + 64];
	unsigned turn;
	ssize_t n;

	(void)arg;
	(void)events;
	for (turn = 0; turn < 64; turn++) {
		if (!passt_has_room(wire.passt)) {
			loop_modify(wire.loop, &wire.tap, 0);
			return;
		}
		n = read(wire.tap.fd, frame, sizeof(frame));
		if (n <= 0)
			return;
		if (wire.filter)
			filter_from_guest(wire.filter, frame, (size_t)n, false, loop_now_ns());
		else
			passt_send(wire.passt, frame, (size_t)n);
	}
}

static bool room(void *arg)
{
	(void)arg;
	return true;
}

static void passt_frame(void *arg, uint8_t *frame, size_t length)
{
	if (wire.filter)
		filter_from_peer(wire.filter, frame, length, loop_now_ns());
	else
		to_guest(arg, frame, length);
}

static void drained(void *arg)
{
	(void)arg;
	loop_modify(wire.loop, &wire.tap, EPOLLIN);
}

static void started(void *arg)
{
	(void)arg;
}

static void died(void *arg, const char *why)
{
	(void)arg;
	fprintf(stderr, "passt: %s\n", why);
	exit(1);
}

static enum filter_verdict decide(void *arg, const struct filter_request *request, uint32_t *order)
{
	(void)arg;
	*order = request->protocol == FILTER_TCP || request->protocol == FILTER_UDP ? 0 : 1;
	return *order == 0 ? FILTER_ALLOW : FILTER_DENY;
}

static bool check(void *arg, const struct filter_request *request)
{
	(void)arg;
	(void)request;
	return true;
}

static void note(void *arg, const char *what, const char *object, const char *detail)
{
	(void)arg;
	(void)what;
	(void)object;
	(void)detail;
}

static void make_filter(void)
{
	static const struct filter_ops ops = {.to_guest = to_guest,
					      .to_peer = to_peer,
					      .decide = decide,
					      .check = check,
					      .note = note};
	static const struct filter_config config = {
		.guest_mac = {0x02, 0x00, 0x5e, 0x00, 0x00, 0x02},
		/* passt's address, which the tap's stack knows from rounds without the filter. */
		.router_mac = {0x02, 0x00, 0x5e, 0x00, 0x00, 0x04},
		.card_mac = {0x02, 0x00, 0x5e, 0x00, 0x00, 0x02},
		.peer_mac = {0x02, 0x00, 0x5e, 0x00, 0x00, 0x04},
	};

	if (filter_create(&wire.filter, &config, &ops, NULL) < 0)
		fail("the filter");
}

/* Runs until it is killed. */
static void __attribute__((noreturn)) be_wire(int tap_fd, bool with_filter)
{
	static const struct backend_ops ops = {.room = room,
					       .frame = passt_frame,
					       .drained = drained,
					       .started = started,
					       .died = died};
	static const struct passt_config config = {.program = "passt"};
	struct err err;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (with_filter)
		make_filter();
	wire.tap = (struct loop_source){.fd = tap_fd, .ready = tap_ready};
	if (loop_create(&wire.loop) < 0 || loop_add(wire.loop, &wire.tap, EPOLLIN) < 0)
		fail("the loop");
	if (passt_create(&wire.passt, wire.loop, &config, &ops, NULL, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
	loop_run(wire.loop);
	exit(0);
}

/* --- the whole -------------------------------------------------------------------------------- */

/* Processor time of the wire and of its passt. */
static double cpu_of(pid_t pid)
{
	char path[64];
	struct timespec time;
	clockid_t clock;
	double total = 0;
	FILE *children;
	int child = pid;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	children = fopen(path, "re");
	do {
		if (clock_getcpuclockid(child, &clock) == 0 && clock_gettime(clock, &time) == 0)
			total += (double)time.tv_sec + (double)time.tv_nsec / 1e9;
	} while (children && fscanf(children, "%d", &child) == 1);
	if (children)
		fclose(children);
	return total;
}

static void measure_all(pid_t pid, const char *mode, int command_fd)
{
	struct outcome outcome;
	double before;
	unsigned k;

	for (k = 0; k < MEASURES; k++) {
		before = cpu_of(pid);
		outcome = traffic_measure(command_fd, (enum measure)k);
		printf("%s.%s %.6g %s\n", mode, measure_name[k], outcome.value, measure_unit[k]);
		if (outcome.units > 0)
			printf("%s.cpu.%s %.6g us\n", mode, measure_name[k],
			       1e6 * (cpu_of(pid) - before) / outcome.units);
		fflush(stdout);
	}
}

int main(int argc, char **argv)
{
	static const char *const modes[] = {"passt", "filter"};
	double seconds = argc == 2 ? atof(argv[1]) : 0;
	int command_fd, tap_fd;
	unsigned i;
	pid_t pid;

	if (seconds <= 0) {
		fprintf(stderr, "usage: net-wire SECONDS\n");
		return 2;
	}
	command_fd = traffic_guest(&tap_fd, seconds, false);
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		pid = fork();
		if (pid == 0)
			be_wire(tap_fd, i == 1);
		measure_all(pid, modes[i], command_fd);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	return 0;
}
