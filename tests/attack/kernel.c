/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks through devices, the network, and parts of the kernel. */
#include "tests/attack/guest.h"

/* --- devices ---------------------------------------------------------------------------------- */

/* /dev/kvm anew, or by a request to any descriptor. */
long attack_open_kvm(void)
{
	return DO(__NR_openat, AT_HERE, at("/dev/kvm"), 2);
}

long attack_second_machine(void)
{
	long fd, ret = -25;

	for (fd = 0; fd < FDS && ret < 0; fd++)
		ret = DO(__NR_ioctl, fd, 0xae01 /* KVM_CREATE_VM */, 0);
	return ret;
}

long attack_another_vcpu(void)
{
	long fd, ret = -25;

	for (fd = 0; fd < FDS && ret < 0; fd++)
		ret = DO(__NR_ioctl, fd, 0xae41 /* KVM_CREATE_VCPU */, 1);
	return ret;
}

long attack_open_tun(void)
{
	return DO(__NR_openat, AT_HERE, at("/dev/net/tun"), 2);
}

long attack_open_random(void)
{
	return DO(__NR_openat, AT_HERE, at("/dev/urandom"), 0);
}

long attack_type_into_terminal(void)
{
	long ret = DO(__NR_ioctl, 0, 0x5412 /* TIOCSTI */, at("x"));

	/* What a terminal says that does not permit it any more, and a file that is none. */
	return ret == -25 || ret == -5 ? 0 : ret;
}

/* --- the network ------------------------------------------------------------------------------ */

static long socket_connects(long family, long type, const void *address, unsigned length)
{
	long fd = DO(__NR_socket, family, type, 0);

	return fd < 0 ? fd : DO(__NR_connect, fd, at(address), length);
}

long attack_connect_tcp(void)
{
	static uint8_t address[16] = {2, 0, 0, 0, 127, 0, 0, 1};

	address[2] = (uint8_t)(number >> 8);
	address[3] = (uint8_t)number;
	return socket_connects(2, 1, address, sizeof(address));
}

long attack_connect_unix(void)
{
	static uint8_t address[110] = {1};
	unsigned i;

	for (i = 0; i < 107 && path[i]; i++)
		address[2 + i] = (uint8_t)path[i];
	return socket_connects(1, number == 5 ? 5 : 1, address, sizeof(address));
}

long attack_connect_abstract(void)
{
	static uint8_t address[110] = {1};
	unsigned i;

	for (i = 0; path[i]; i++)
		address[3 + i] = (uint8_t)path[i];
	return socket_connects(1, 1, address, 3 + i);
}

long attack_listen_tcp(void)
{
	static const uint8_t address[16] = {2, 0, 0, 0, 127, 0, 0, 1};
	long fd = DO(__NR_socket, 2, 1, 0), ret;

	if (fd < 0)
		return fd;
	ret = DO(__NR_bind, fd, at(address), sizeof(address));
	return ret < 0 ? ret : DO(__NR_listen, fd, 1);
}

long attack_socket_udp(void)
{
	return DO(__NR_socket, 2, 2, 0);
}

long attack_socket_netlink(void)
{
	return DO(__NR_socket, 16, 3, 0);
}

long attack_socket_raw(void)
{
	return DO(__NR_socket, 2, 3, 1);
}

long attack_socket_packet(void)
{
	return DO(__NR_socket, 17, 3, 0);
}

long attack_socket_pair(void)
{
	return DO(__NR_socketpair, 1, 1, 0, at(room));
}

/* --- the kernel ------------------------------------------------------------------------------- */

long attack_rings(void)
{
	return DO(__NR_io_uring_setup, 1, at(room));
}

long attack_load_bpf(void)
{
	/* An array of one item: BPF_MAP_CREATE. */
	*(uint32_t *)(void *)room = 2;
	*(uint32_t *)(void *)(room + 4) = 4;
	*(uint32_t *)(void *)(room + 8) = 4;
	*(uint32_t *)(void *)(room + 12) = 1;
	return DO(__NR_bpf, 0, at(room), 72);
}

long attack_count_events(void)
{
	*(uint32_t *)(void *)room = 1; /* PERF_TYPE_SOFTWARE */
	*(uint32_t *)(void *)(room + 4) = 128;
	return DO(__NR_perf_event_open, at(room), 0, -1, -1, 0);
}

long attack_fault_memory(void)
{
	return DO(__NR_userfaultfd, 1);
}

long attack_add_key(void)
{
	return DO(__NR_add_key, at("user"), at("attack"), at("x"), 1, -2 /* of the process */);
}

long attack_find_key(void)
{
	return DO(__NR_keyctl, 0, -2, 1);
}

long attack_read_log(void)
{
	return DO(__NR_syslog, 10, 0, 0);
}

long attack_change_personality(void)
{
	return DO(__NR_personality, 0x0040000 /* ADDR_NO_RANDOMIZE */);
}

long attack_change_ldt(void)
{
	return DO(__NR_modify_ldt, 0, at(room), sizeof(room));
}

long attack_ports(void)
{
	return DO(__NR_iopl, 0);
}

long attack_executable_memory(void)
{
	return DO(__NR_mmap, 0, 4096, 7, 0x22 /* MAP_PRIVATE, MAP_ANONYMOUS */, -1, 0) > 0 ? 0 : -1;
}

long attack_executable_later(void)
{
	return DO(__NR_mprotect, at(room), 4096, 7);
}

long attack_shared_memory(void)
{
	long id = DO(__NR_shmget, 0, 4096, 01600);

	return id < 0 ? id : DO(__NR_shmctl, id, 0 /* IPC_RMID */, 0);
}

long attack_message_queue(void)
{
	long id = DO(__NR_msgget, 0, 01600);

	return id < 0 ? id : DO(__NR_msgctl, id, 0 /* IPC_RMID */, 0);
}

long attack_lock_memory(void)
{
	return DO(__NR_mlockall, 5 /* MCL_CURRENT, MCL_ONFAULT */);
}

long attack_make_timer(void)
{
	return DO(__NR_timer_create, 1, 0, at(room));
}

long attack_host_name(void)
{
	/* With a length that no name has: EINVAL, once permitted. */
	return DO(__NR_sethostname, at(room), 100000) == -22 ? 0 : -1;
}

long attack_set_clock(void)
{
	/* A time that none is: EINVAL, once permitted. */
	words[0] = 0;
	words[1] = ~0ull;
	return DO(__NR_clock_settime, 0, at(words)) == -22 ? 0 : -1;
}
