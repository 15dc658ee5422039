/* SPDX-License-Identifier: Apache-2.0 */
/* The guest as a whole: clock, entropy, name, power. */
#include "guest-kernel/agent/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "guest-kernel/agent/linux.h"

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
	/* What programs expect; without it they would inherit the kernel's 1024 and 4096. */
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

uint32_t guest_reseed(const uint8_t *bytes, uint32_t length)
{
	struct {
		int bits, size;
		uint8_t bytes[AGENT_RESEED_MAX];
	} entropy = {.bits = (int)(length * 8), .size = (int)length};

	memcpy(entropy.bytes, bytes, length);
	if (ioctl(guest_random_fd, IOCTL_ADD_ENTROPY, &entropy) < 0)
		return (uint32_t)errno;
	/* Now, not at the next interval: two copies of one guest must differ from here on. */
	return ioctl(guest_random_fd, IOCTL_RESEED) < 0 ? (uint32_t)errno : 0;
}

uint32_t guest_hostname(const uint8_t *name, uint32_t length)
{
	return sethostname((const char *)name, length) < 0 ? (uint32_t)errno : 0;
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
