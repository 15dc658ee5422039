/* SPDX-License-Identifier: Apache-2.0 */
/* cordon doctor: what the host's network gives sandboxes. Nothing is sent. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "vmm/base/fd.h"
#include "vmm/cli/doctor.h"
#include "vmm/net/resolver.h"
#include "vmm/relay/names.h"

#define RESOLV_CONF "/etc/resolv.conf"
#define PING_RANGE  "/proc/sys/net/ipv4/ping_group_range"

static void check_resolvers(struct doctor *doctor)
{
	struct doctor_check *check = doctor_add(doctor, "names", DOCTOR_OK);
	struct resolver_file file = {.path = RESOLV_CONF, .port = 53};
	struct resolver_servers servers = {.count = 0};
	char text[NI_MAXHOST];
	size_t at;
	unsigned i;

	resolver_file_read(&file, &servers);
	if (servers.count == 0) {
		check->verdict = DOCTOR_NOTE;
		doctor_text(check->found, RESOLV_CONF " has no nameserver");
		doctor_text(
			check->advice,
			"for names in sandboxes with a network, add a line: nameserver ADDRESS");
		return;
	}
	doctor_text(check->found, "resolved by");
	for (i = 0; i < servers.count; i++) {
		at = strlen(check->found);
		if (getnameinfo((const struct sockaddr *)&servers.address[i], servers.length[i],
				text, sizeof(text), NULL, 0, NI_NUMERICHOST) == 0)
			snprintf(check->found + at, sizeof(check->found) - at, " %s", text);
	}
}

static void check_pings(struct doctor *doctor)
{
	struct doctor_check *check = doctor_add(doctor, "pings", DOCTOR_OK);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_ICMP), error = errno;
	char range[64];

	if (fd >= 0) {
		doctor_text(check->found, "ping sockets open");
		fd_close(&fd);
		return;
	}
	check->verdict = DOCTOR_NOTE;
	doctor_read(PING_RANGE, range, sizeof(range));
	range[strcspn(range, "\t")] = range[0] ? ' ' : '\0';
	doctor_text(check->found, "%s for ping sockets: icmp rules open nothing%s%.60s%s",
		    strerror(error), range[0] ? " (net.ipv4.ping_group_range = " : "", range,
		    range[0] ? ")" : "");
	doctor_text(check->advice, "only for icmp rules, have a group of the user in the range: "
				   "sysctl -w net.ipv4.ping_group_range='0 2147483647'");
}

static void check_ipv6(struct doctor *doctor)
{
	struct doctor_check *check = doctor_add(doctor, "IPv6", DOCTOR_OK);

	doctor_text(check->found,
		    names_host_has6() ? "there is a route to the IPv6 Internet"
				      : "no route to the IPv6 Internet, so sandboxes have none");
}

static void check_tap(struct doctor *doctor)
{
	struct doctor_check *check = doctor_add(doctor, "/dev/net/tun", DOCTOR_OK);

	if (access("/dev/net/tun", R_OK | W_OK) == 0) {
		doctor_text(check->found, "opens");
		return;
	}
	check->verdict = DOCTOR_NOTE;
	doctor_text(check->found, "%s: no --net tap", strerror(errno));
	doctor_text(check->advice, "only for --net tap=IF, which is not filtered: %s",
		    errno == EACCES ? "chmod 666 /dev/net/tun, as is usual" : "modprobe tun");
}

void doctor_check_network(struct doctor *doctor)
{
	check_resolvers(doctor);
	check_pings(doctor);
	check_ipv6(doctor);
	check_tap(doctor);
}
