/* SPDX-License-Identifier: Apache-2.0 */
/* What the relay's process can still do, and what ends it. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/unit.h"
#include "tests/unit/jail_common.h"
#include "vmm/base/bytes.h"
#include "vmm/relay/link.h"
#include "vmm/policy/policy_copy.h"
#include "vmm/relay/relay_jail.h"
#include "vmm/relay/wire.h"

static int policy_fd;

/* Its sockets, where the process has them; above them something that it is not to keep. */
static void set_descriptors(void)
{
	int pair[2], above;

	if (link_pair(pair) < 0)
		_exit(1);
	above = fcntl(pair[0], F_DUPFD, 20);
	pair[1] = fcntl(pair[1], F_DUPFD, 20);
	if (dup2(above, RELAY_FD_FRAMES) < 0 || dup2(pair[1], RELAY_FD_MESSAGES) < 0 ||
	    dup2(2, RELAY_FD_MESSAGES + 1) < 0)
		_exit(1);
}

static void enter(bool confined)
{
	struct err err;

	set_descriptors();
	if (confined && relay_confine(&err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		_exit(1);
	}
}

/* --- permitted -------------------------------------------------------------------------------- */

static int opens_sockets(void)
{
	return fine(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0) >= 0 &&
		    socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) >= 0 &&
		    (socket(AF_INET6, SOCK_STREAM, 0) >= 0 || errno == EAFNOSUPPORT) &&
		    (socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP) >= 0 || errno == EACCES));
}

static int connects_them(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int server = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t length = sizeof(at);
	const int one = 1;
	char byte = 0;
	int fd;

	if (setsockopt(server, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    bind(server, (struct sockaddr *)&at, length) < 0 || listen(server, 1) < 0 ||
	    getsockname(server, (struct sockaddr *)&at, &length) < 0 ||
	    connect(client, (struct sockaddr *)&at, length) < 0)
		return 2;
	fd = accept4(server, NULL, NULL, SOCK_CLOEXEC);
	return fine(send(client, "x", 1, MSG_NOSIGNAL) == 1 && recv(fd, &byte, 1, 0) == 1 &&
		    byte == 'x');
}

static int uses_its_links(void)
{
	return fine(send(RELAY_FD_FRAMES, "x", 1, MSG_NOSIGNAL) == 1 &&
		    send(RELAY_FD_MESSAGES, "x", 1, MSG_NOSIGNAL) == 1);
}

static int allocates(void)
{
	void *memory = malloc(8u << 20);

	free(memory);
	return fine(memory != NULL);
}

static int writes_to_stderr(void)
{
	return fine(write(2, "", 0) == 0);
}

static int has_no_other_descriptor(void)
{
	return fine(close(RELAY_FD_MESSAGES + 1) < 0 && errno == EBADF);
}

/* The sanitizers' own code makes calls that the relay never does. */
#ifdef __SANITIZE_ADDRESS__
#define CONFINED 0
#else
#define CONFINED 1
#endif

START_TEST(what_it_needs_works)
{
	static int (*const needs[])(void) = {opens_sockets,    connects_them,
					     uses_its_links,   allocates,
					     writes_to_stderr, has_no_other_descriptor};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(needs) && CONFINED; i++)
		ck_assert_msg(run(enter, needs[i], true) == FINE, "need %zu", i);
}
END_TEST

/* The policy's copy comes as a descriptor. */
START_TEST(it_reads_the_policy)
{
	static const char text[] = "policy 1\nnet allow tcp *:1\n";
	const struct policy_source source = {.name = "p"};
	struct policy *policy, *copy;
	struct err err;
	int status;
	pid_t pid;

	ck_assert_int_eq(policy_parse(&policy, text, strlen(text), &source, NULL), 0);
	ck_assert_int_eq(policy_copy_write(policy, POLICY_COPY_RELAY, &policy_fd), 0);
	pid = CONFINED ? fork() : -1;
	if (pid == 0) {
		/* Where the relay keeps what it is sent, the descriptors above are closed. */
		dup2(policy_fd, RELAY_FD_MESSAGES);
		if (relay_confine(&err) < 0)
			_exit(1);
		_exit(fine(policy_copy_read(RELAY_FD_MESSAGES, &copy) == 0 &&
			   policy_rule_count(copy, POLICY_NET) == 1));
	}
	if (pid > 0) {
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_int_eq(status, FINE << 8);
	}
	close(policy_fd);
	policy_free(policy);
}
END_TEST

/* --- what ends it ----------------------------------------------------------------------------- */

static void *file_status(const char *path)
{
	static struct stat status;

	return stat(path, &status) == 0 ? &status : NULL;
}

static void *monitors(const char *file)
{
	static char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", getppid(), file);
	return path;
}

/* files */
ATTEMPT(reads_a_file, open("/etc/passwd", O_RDONLY | O_CLOEXEC))
ATTEMPT(reads_the_resolvers, open("/etc/resolv.conf", O_RDONLY | O_CLOEXEC))
ATTEMPT(opens_a_path, open("/", O_PATH | O_CLOEXEC))
ATTEMPT(opens_its_directory, open(".", O_RDONLY | O_DIRECTORY))
ATTEMPT(opens_for_writing, open("/dev/null", O_RDWR))
ATTEMPT(opens_the_old_way, syscall(SYS_open, "/dev/null", O_RDONLY))
ATTEMPT(opens_the_new_way, syscall(SYS_openat2, AT_FDCWD, "/dev/null", NULL, 0))
ATTEMPT(looks_at_a_file, file_status("/etc/passwd"))
ATTEMPT(looks_at_a_descriptor, syscall(SYS_newfstatat, 2, "", NULL, AT_EMPTY_PATH))
ATTEMPT(reads_a_link, syscall(SYS_readlink, "/proc/self/exe", NULL, 0))
ATTEMPT(unlinks, unlink("/nowhere/cordon"))
ATTEMPT(makes_a_directory, mkdir("/nowhere/cordon", 0700))
ATTEMPT(makes_memory_a_file, syscall(SYS_memfd_create, "x", 0))
ATTEMPT(controls_a_device, syscall(SYS_ioctl, 2, 0xae00, 0)) /* KVM_GET_API_VERSION */
/* the monitor, other processes */
ATTEMPT(reads_the_monitors_maps, open(monitors("maps"), O_RDONLY))
ATTEMPT(opens_the_monitors_memory, open(monitors("mem"), O_RDWR))
ATTEMPT(has_signals_sent, fcntl(RELAY_FD_FRAMES, F_SETOWN, getpid()))
ATTEMPT(chooses_the_signal, fcntl(RELAY_FD_FRAMES, F_SETSIG, SIGWINCH))
ATTEMPT(copies_a_descriptor, fcntl(2, F_DUPFD, 0))
ATTEMPT(copies_it_the_old_way, dup(2))
/* namespaces, mounts, identity */
ATTEMPT(unmounts, umount2("/nowhere", 0))
ATTEMPT(calls_prctl, syscall(SYS_prctl, 0, 0, 0, 0, 0))
/* more of the kernel */
ATTEMPT(counts_events, syscall(SYS_perf_event_open, NULL, 0, 0, 0, 0))
ATTEMPT(shares_memory, syscall(SYS_shmget, 0, 0, 0))
/* sockets */
ATTEMPT(opens_a_raw_socket, socket(AF_INET, SOCK_RAW, IPPROTO_ICMP))
ATTEMPT(opens_netlink, socket(AF_NETLINK, SOCK_RAW, 0))
ATTEMPT(opens_a_packet_socket, socket(AF_PACKET, SOCK_DGRAM, 0))
ATTEMPT(opens_vsock, socket(AF_VSOCK, SOCK_STREAM, 0))
ATTEMPT(opens_a_cipher, socket(AF_ALG, SOCK_SEQPACKET, 0))
ATTEMPT(opens_sctp, socket(AF_INET, SOCK_STREAM, IPPROTO_SCTP))
ATTEMPT(attaches_a_program, setsockopt(-1, SOL_SOCKET, SO_ATTACH_FILTER, NULL, 0))
ATTEMPT(changes_the_protocol, setsockopt(-1, IPPROTO_TCP, 31 /* TCP_ULP */, "tls", 3))
ATTEMPT(reads_the_peer, getsockopt(RELAY_FD_FRAMES, SOL_SOCKET, SO_PEERCRED, NULL, NULL))

static const struct sockaddr_un own_name = {.sun_family = AF_UNIX};

ATTEMPT(names_its_link, bind(RELAY_FD_FRAMES, (const void *)&own_name, sizeof(sa_family_t)))
/* The kernel takes the lower half of the number. */
ATTEMPT(names_its_link_in_disguise,
	syscall(SYS_bind, (INT64_C(7) << 32) | RELAY_FD_MESSAGES, &own_name, sizeof(sa_family_t)))
ATTEMPT(connects_its_link, connect(RELAY_FD_MESSAGES, (const void *)&own_name, sizeof(sa_family_t)))
ATTEMPT(sends_by_stderr, sendto(2, "", 0, MSG_NOSIGNAL, (const void *)&own_name, 2))
/* stderr may be the user's terminal, a file, or a socket: it is only written to */
static char byte;

ATTEMPT(reads_stdin_at_a_place, pread(0, &byte, 0, 0))
ATTEMPT(reads_stderr_at_a_place, pread(2, &byte, 0, 0))
ATTEMPT(receives_from_stderr, recv(2, &byte, 0, MSG_DONTWAIT))
ATTEMPT(moves_in_stderr, lseek(2, 0, SEEK_CUR))
ATTEMPT(shuts_stderr_down, shutdown(2, -1))
ATTEMPT(listens_at_stderr, listen(0, 0))
ATTEMPT(accepts_from_stderr, accept4(0, NULL, NULL, SOCK_NONBLOCK))
ATTEMPT(maps_stderr, mmap(NULL, 4096, PROT_READ, MAP_SHARED, 2, 0))

static int (*const attempts[])(void) = {
	signals_itself,
	reads_a_file,
	reads_the_resolvers,
	opens_a_path,
	opens_its_directory,
	opens_for_writing,
	opens_the_old_way,
	opens_the_new_way,
	looks_at_a_file,
	looks_at_a_descriptor,
	reads_a_link,
	unlinks,
	makes_a_directory,
	makes_memory_a_file,
	controls_a_device,
	reads_the_monitors_maps,
	opens_the_monitors_memory,
	has_signals_sent,
	chooses_the_signal,
	copies_a_descriptor,
	copies_it_the_old_way,
	unmounts,
	calls_prctl,
	counts_events,
	shares_memory,
	opens_a_raw_socket,
	opens_netlink,
	opens_a_packet_socket,
	opens_vsock,
	opens_a_cipher,
	opens_sctp,
	attaches_a_program,
	changes_the_protocol,
	reads_the_peer,
	names_its_link,
	names_its_link_in_disguise,
	connects_its_link,
	sends_by_stderr,
	reads_stdin_at_a_place,
	reads_stderr_at_a_place,
	receives_from_stderr,
	moves_in_stderr,
	shuts_stderr_down,
	listens_at_stderr,
	accepts_from_stderr,
	maps_stderr,
};

START_TEST(everything_else_ends_it)
{
	attempt_all(enter, attempts, ARRAY_SIZE(attempts), true);
}
END_TEST

/* The same attempts work, or fail as such, without it. */
START_TEST(without_it_they_do_not_end_the_process)
{
	attempt_all(enter, attempts, ARRAY_SIZE(attempts), false);
}
END_TEST

UNIT_MAIN("relay_jail", what_it_needs_works, it_reads_the_policy, everything_else_ends_it,
	  without_it_they_do_not_end_the_process)
