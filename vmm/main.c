/* SPDX-License-Identifier: Apache-2.0 */
/* cordon: finds the verb and runs it; or is a process that a monitor has started: relay, file
 * server. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/base/log.h"
#include "vmm/cli/help.h"
#include "vmm/cli/verb.h"
#include "vmm/files/client.h"
#include "vmm/files/server.h"
#include "vmm/relay/client.h"
#include "vmm/relay/relay.h"
#include "vmm/revision.h"

/*
 * Descriptors 0 to 2 must be in use, or the next file that is opened becomes stdout or stderr. The
 * stand-in for a closed one is open the other way round, so that reads and writes fail as before.
 */
static void fill_standard_descriptors(void)
{
	int fd;

	for (fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

/* Of a pipe, as with `| head`: other programs then end by SIGPIPE, without a word. */
static bool reader_is_gone(void)
{
	struct pollfd output = {.fd = STDOUT_FILENO};

	return poll(&output, 1, 0) == 1 && (output.revents & POLLERR);
}

static bool is_packet_socket(int fd)
{
	int type = 0;
	socklen_t length = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 && type == SOCK_SEQPACKET;
}

/* Whether a monitor has started this process as its relay (vmm/relay/client.h). */
static bool is_relay(int argc, char **argv)
{
	return argc == 1 && strcmp(argv[0], RELAY_CLIENT_PROGRAM) == 0 &&
	       is_packet_socket(RELAY_FD_FRAMES) && is_packet_socket(RELAY_FD_MESSAGES);
}

/* The same for its file server (vmm/files/client.h). */
static bool is_file_server(int argc, char **argv)
{
	return argc == 1 && strcmp(argv[0], FILES_CLIENT_PROGRAM) == 0 &&
	       is_packet_socket(FILES_SERVER_FD);
}

int main(int argc, char **argv)
{
	int status, error;

	version_revision = cordon_revision;
	if (is_relay(argc, argv))
		return relay_main(RELAY_FD_FRAMES, RELAY_FD_MESSAGES);
	if (is_file_server(argc, argv))
		return files_server_main(FILES_SERVER_FD);
	fill_standard_descriptors();
	signal(SIGPIPE, SIG_IGN);
	/* A write beyond RLIMIT_FSIZE must fail (EFBIG), not end the monitor with its sandbox. */
	signal(SIGXFSZ, SIG_IGN);
	if (argc < 2) {
		help_print_overview(stderr);
		return EXIT_CORDON;
	}
	status = verbs_main(argc - 1, argv + 1);
	if ((fflush(stdout) != 0 || ferror(stdout)) && status == 0) {
		error = errno;
		status = reader_is_gone() ? EXIT_SIGNAL_BASE + SIGPIPE : EXIT_CORDON;
		if (status == EXIT_CORDON)
			log_error("stdout: %s", strerror(error));
	}
	return status;
}
