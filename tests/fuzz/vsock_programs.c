/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/vsock_programs.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "vmm/base/bytes.h"

void programs_begin(struct programs *programs, const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	unsigned i;

	for (i = 0; i < PROGRAMS; i++)
		programs->client[i] = -1;
	snprintf(address.sun_path, sizeof(address.sun_path), "%.80s_%u", path, PROGRAMS_PORT);
	programs->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	FUZZ_REQUIRE(bind(programs->listener, (void *)&address, sizeof(address)) == 0);
	FUZZ_REQUIRE(listen(programs->listener, 2) == 0);
}

void programs_act(struct programs *programs, struct fuzz_script *script, const char *path)
{
	static const char *const lines[] = {"CONNECT 1\n", "CONNECT 2\nabc", "CONNECT ",
					    "3\n",	   "nonsense\n",     ""};
	static char bytes[40000];
	int *fd = &programs->client[fuzz_below(script, PROGRAMS)];
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const char *line;

	if (*fd < 0) {
		if (fuzz_below(script, 2) == 0) {
			*fd = accept4(programs->listener, NULL, NULL, SOCK_NONBLOCK);
			return;
		}
		strcpy(address.sun_path, path);
		*fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (*fd < 0 || connect(*fd, (void *)&address, sizeof(address)) < 0)
			return;
		line = lines[fuzz_below(script, ARRAY_SIZE(lines))];
		send(*fd, line, strlen(line), MSG_NOSIGNAL);
		return;
	}
	switch (fuzz_below(script, 8)) {
	case 0:
	case 1:
		send(*fd, bytes, fuzz_number(script, 2) % sizeof(bytes), MSG_NOSIGNAL);
		break;
	case 2:
	case 3:
	case 4:
		recv(*fd, bytes, fuzz_number(script, 2) % sizeof(bytes), 0);
		break;
	case 5:
		shutdown(*fd, (int)fuzz_below(script, 3));
		break;
	case 6:
		line = lines[fuzz_below(script, ARRAY_SIZE(lines))];
		send(*fd, line, strlen(line), MSG_NOSIGNAL);
		break;
	default:
		close(*fd);
		*fd = -1;
		break;
	}
}

void programs_end(struct programs *programs)
{
	unsigned i;

	for (i = 0; i < PROGRAMS; i++)
		if (programs->client[i] >= 0)
			close(programs->client[i]);
	close(programs->listener);
}
