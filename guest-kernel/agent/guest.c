/* SPDX-License-Identifier: Apache-2.0 */
/* Requests for the whole guest: clock, entropy, host name, power. */
#include "guest-kernel/agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "guest-kernel/agent/linux.h"

#define TMPFS_TYPE   0x01021994
#define OVERLAY_TYPE 0x794c7630

int guest_random_fd = -1;

static void loopback_up(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
		agent_log("lo: %s", strerror(errno));
	close_fd(&fd);
}

void guest_prepare(void)
{
	/* The limits that programs expect; the kernel's are 1024 and 4096. */
	struct rlimit files = {.rlim_cur = 1024, .rlim_max = 1048576};

	setrlimit(RLIMIT_NOFILE, &files);
	loopback_up();
	if (sethostname("sandbox", 7) < 0)
		agent_log("host name: %s", strerror(errno));
}

uint32_t guest_set_time(uint64_t seconds, uint32_t nanoseconds)
{
	struct timespec now = {.tv_sec = (time_t)seconds, .tv_nsec = (long)nanoseconds};

	return clock_settime(CLOCK_REALTIME, &now) < 0 ? (uint32_t)errno : 0;
}

static int machine_id_fd = -1;
static bool restored; /* since the last RESEED */

/* Writes a random UUID of version 4, in the format of machine-id(5), where that is possible. */
static void write_machine_id(void)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t id[16];
	struct stat stat;
	char text[33];
	unsigned i;

	if (machine_id_fd < 0 || getrandom(id, sizeof(id), GRND_NONBLOCK) != sizeof(id))
		return;
	id[6] = (uint8_t)((id[6] & 0x0f) | 0x40);
	id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
	for (i = 0; i < sizeof(id); i++) {
		text[2 * i] = digits[id[i] >> 4];
		text[2 * i + 1] = digits[id[i] & 15];
	}
	text[32] = '\n';
	if (pwrite(machine_id_fd, text, sizeof(text), 0) != sizeof(text) ||
	    fstat(machine_id_fd, &stat) < 0 ||
	    (stat.st_size != sizeof(text) && ftruncate(machine_id_fd, sizeof(text)) < 0))
		close_fd(&machine_id_fd);
}

/* Whether the file ends with the guest: not one in a directory of the host, nor on a disk. */
static bool is_transient(int fd)
{
	struct statfs info;

	return fstatfs(fd, &info) == 0 &&
	       (info.f_type == TMPFS_TYPE || info.f_type == OVERLAY_TYPE);
}

void guest_machine_id(void)
{
	const int flags = O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
	int etc = open("etc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat stat;

	close_fd(&machine_id_fd);
	if (etc >= 0 && is_transient(etc))
		machine_id_fd = openat(etc, "machine-id", flags, 0444);
	if (machine_id_fd >= 0 && (fstat(machine_id_fd, &stat) < 0 || !S_ISREG(stat.st_mode)))
		close_fd(&machine_id_fd);
	if (machine_id_fd >= 0 && fchown(machine_id_fd, SANDBOX_ID_BASE, SANDBOX_ID_BASE) < 0)
		agent_log("machine-id: %s", strerror(errno));
	close_fd(&etc);
	write_machine_id();
}

uint32_t guest_reseed(const uint8_t *bytes, uint32_t length, bool worked)
{
	struct {
		int bits, size;
		uint8_t bytes[AGENT_RESEED_MAX];
	} entropy = {.bits = (int)(length * 8), .size = (int)length};

	memcpy(entropy.bytes, bytes, length);
	if (ioctl(guest_random_fd, IOCTL_ADD_ENTROPY, &entropy) < 0)
		return (uint32_t)errno;
	/* Reseed now, not at the next interval: two copies of one guest must differ from here on.
	 */
	if (ioctl(guest_random_fd, IOCTL_RESEED) < 0)
		return (uint32_t)errno;
	/* A template's guest does not know that it was restored, but has run no command yet. */
	if (restored || !worked)
		write_machine_id();
	restored = false;
	return 0;
}

void guest_reconnected(void)
{
	restored = true;
}

uint32_t guest_hostname(const uint8_t *name, uint32_t length)
{
	if (sethostname((const char *)name, length) < 0)
		return (uint32_t)errno;
	hosts_rename((const char *)name, length);
	return 0;
}

void guest_power(uint32_t kind)
{
	kill(-1, SIGKILL);
	sync();
	if (kind == AGENT_POWER_OFF)
		reboot(RB_POWER_OFF);
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}
