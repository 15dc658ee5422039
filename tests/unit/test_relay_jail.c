/* SPDX-License-Identifier: Apache-2.0 */
/* What the relay's process can still do, and what it cannot. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <sys/wait.h>

#include "tests/support/unit.h"
#include "vmm/relay/relay_jail.h"

#define FINE 42

/* Runs an attempt in a confined process. Its exit status, or 128 and the signal that ended it. */
static int confined(int (*attempt)(void))
{
	struct err err;
	int status;
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		if (relay_confine(&err) < 0) {
			fprintf(stderr, "%s\n", err.text);
			_exit(1);
		}
		_exit(attempt());
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int fine(bool true_one)
{
	return true_one ? FINE : 2;
}

/* --- permitted -------------------------------------------------------------------------------- */

static int opens_sockets(void)
{
	return fine(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) >= 0 &&
		    socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) >= 0 &&
		    (socket(AF_INET6, SOCK_STREAM, 0) >= 0 || errno == EAFNOSUPPORT) &&
		    (socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP) >= 0 || errno == EACCES));
}

static int reads_a_file(void)
{
	return fine(open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0);
}

static int allocates(void)
{
	void *memory = malloc(8u << 20);

	free(memory);
	return fine(memory != NULL);
}

static int has_no_other_descriptor(void)
{
	return fine(fcntl(5, F_GETFD) < 0 && errno == EBADF);
}

/* The sanitizers' own code makes calls that the relay never does. */
#ifdef __SANITIZE_ADDRESS__
#define CONFINED 0
#else
#define CONFINED 1
#endif

START_TEST(what_it_needs_works)
{
	int spare;

	if (!CONFINED)
		return;
	spare = dup(2);
	ck_assert_int_ge(dup2(spare, 5), 0);
	ck_assert_int_eq(confined(opens_sockets), FINE);
	ck_assert_int_eq(confined(reads_a_file), FINE);
	ck_assert_int_eq(confined(allocates), FINE);
	ck_assert_int_eq(confined(has_no_other_descriptor), FINE);
}
END_TEST

/* --- refused ---------------------------------------------------------------------------------- */

static int writes_a_file(void)
{
	open("/tmp/cordon-test-jail", O_WRONLY | O_CREAT, 0600);
	return 3;
}

static int opens_for_writing(void)
{
	open("/dev/null", O_RDWR);
	return 3;
}

static int starts_a_program(void)
{
	execl("/bin/true", "true", NULL);
	return 3;
}

static int forks(void)
{
	syscall(SYS_fork);
	return 3;
}

static int opens_a_unix_socket(void)
{
	socket(AF_UNIX, SOCK_STREAM, 0);
	return 3;
}

static int opens_a_raw_socket(void)
{
	socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	return 3;
}

static int opens_netlink(void)
{
	socket(AF_NETLINK, SOCK_RAW, 0);
	return 3;
}

static int opens_a_packet_socket(void)
{
	socket(AF_PACKET, SOCK_DGRAM, 0);
	return 3;
}

static int traces(void)
{
	syscall(SYS_ptrace, 0, 0, 0, 0);
	return 3;
}

static int unlinks(void)
{
	unlink("/tmp/cordon-test-jail");
	return 3;
}

static int signals_the_monitor(void)
{
	kill(getppid(), 0);
	return 3;
}

static int reads_memory(void)
{
	syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0);
	return 3;
}

static int makes_a_namespace(void)
{
	syscall(SYS_unshare, 0x10000000);
	return 3;
}

static int controls_a_device(void)
{
	syscall(SYS_ioctl, 2, 0xae00, 0); /* KVM_GET_API_VERSION */
	return 3;
}

START_TEST(everything_else_ends_it)
{
	static int (*const attempts[])(void) = {
		writes_a_file,
		opens_for_writing,
		starts_a_program,
		forks,
		opens_a_unix_socket,
		opens_a_raw_socket,
		opens_netlink,
		opens_a_packet_socket,
		traces,
		unlinks,
		signals_the_monitor,
		reads_memory,
		makes_a_namespace,
		controls_a_device,
	};
	size_t i;

	for (i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++)
		ck_assert_msg(confined(attempts[i]) == 128 + SIGSYS, "attempt %zu", i);
}
END_TEST

/* The same attempts work, or fail as such, without it. */
START_TEST(without_it_they_do_not_end_the_process)
{
	ck_assert_int_eq(opens_for_writing(), 3);
	ck_assert_int_eq(opens_a_unix_socket(), 3);
	ck_assert_int_eq(signals_the_monitor(), 3);
	ck_assert_int_eq(controls_a_device(), 3);
}
END_TEST

UNIT_MAIN("relay_jail", what_it_needs_works, everything_else_ends_it,
	  without_it_they_do_not_end_the_process)
