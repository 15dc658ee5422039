/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel interfaces that the agent uses and musl does not declare. (musl-gcc does not use the
 * host's kernel headers.)
 */
#ifndef CORDON_GUEST_AGENT_LINUX_H
#define CORDON_GUEST_AGENT_LINUX_H

#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#ifndef AF_VSOCK
#define AF_VSOCK 40
#endif

struct vsock_address {
	unsigned short family;
	unsigned short reserved;
	unsigned int port;
	unsigned int cid;
	unsigned char zero[4];
};

/* clone3(2). */
struct clone_request {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal;
	uint64_t stack, stack_size, tls, set_tid, set_tid_size, cgroup;
};

/* openat2(2). */
struct open_request {
	uint64_t flags, mode, resolve;
};

#define RESOLVE_NO_XDEV	 0x01
#define RESOLVE_NO_MAGIC 0x02
#ifndef SYS_openat2
#define SYS_openat2 437
#endif

/* seccomp(2). */
struct filter_program {
	uint16_t count;
	const void *code;
};

#define SECCOMP_SET_MODE_FILTER 1
#ifndef SYS_seccomp
#define SYS_seccomp 317
#endif

#ifndef CLONE_NEWCGROUP
#define CLONE_NEWCGROUP 0x02000000
#endif
#ifndef CLONE_PIDFD
#define CLONE_PIDFD 0x00001000
#endif
#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ull
#endif

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_clone3
#define SYS_clone3 435
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif

/* mount_setattr(2), open_tree(2), move_mount(2). */
struct mount_attributes {
	uint64_t set, clear, propagation, userns_fd;
};

#define MOUNT_READ_ONLY 0x00000001ull
#define MOUNT_IDMAP	0x00100000ull
#define TREE_CLONE	1u
#define TREE_RECURSIVE	0x8000u
#define MOVE_FROM_EMPTY 0x00000004u
#ifndef SYS_open_tree
#define SYS_open_tree 428
#endif
#ifndef SYS_move_mount
#define SYS_move_mount 429
#endif
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif

/*
 * /proc/cordon, of our own security module (the patch that adds security/cordon says more). Each
 * read gives a record, followed by the two paths; each write takes an order.
 */
#define CORDON_CHECK 1
#define CORDON_GONE  2
#define CORDON_BATCH 3 /* id bytes of events follow, as in HAPPENED */

struct cordon_record {
	uint32_t kind, id;
	uint32_t pid;	    /* in the initial namespace */
	uint32_t inner_pid; /* in the sandbox's */
	uint32_t uid;	    /* in the initial namespace */
	uint32_t flags;
	uint16_t path_length, program_length;
};

#define CORDON_NO_PATH	  1 /* flags */
#define CORDON_MORE	  2
#define CORDON_RECORD_MAX (sizeof(struct cordon_record) + 32768)

#define CORDON_START   1 /* value: descriptor of a mount namespace */
#define CORDON_VERDICT 2 /* value: 0 or an errno value */
#define CORDON_FORGET  3
#define CORDON_AGAIN   4
#define CORDON_MODE    5 /* value: what follows */
#define CORDON_NETWORK 6 /* value: a descriptor of the user namespace that owns the network */

#define CORDON_CHECKS	 1
#define CORDON_EVENTS	 2
#define CORDON_NO_PTRACE 4

struct cordon_order {
	uint32_t kind, id, value, flags;
};

#define CORDON_REMEMBER 1 /* flags */

/* rtnetlink(7): a message, its two kinds of body, and an attribute after it. All are aligned to 4
 * bytes, and lengths count the headers. */
#ifndef AF_NETLINK
#define AF_NETLINK 16
#endif

struct netlink_message {
	uint32_t length;
	uint16_t type, flags;
	uint32_t sequence, port;
};

struct netlink_address {
	uint8_t family, prefix, flags, scope;
	uint32_t card;
};

struct netlink_route {
	uint8_t family, prefix, source_prefix, service, table, protocol, scope, type;
	uint32_t flags;
};

struct netlink_attribute {
	uint16_t length, type;
};

struct netlink_error {
	struct netlink_message header;
	int32_t error; /* 0 or -errno; the message that it is about follows */
};

#define NETLINK_ROUTE_PROTOCOL 0
#define NETLINK_ERROR	       2 /* types */
#define NETLINK_NEW_ADDRESS    20
#define NETLINK_NEW_ROUTE      24
#define NETLINK_REQUEST	       0x001 /* flags */
#define NETLINK_ACKNOWLEDGE    0x004
#define NETLINK_EXCLUSIVE      0x200
#define NETLINK_CREATE	       0x400
#define ADDRESS_LOCAL	       2 /* attributes */
#define ROUTE_CARD	       4
#define ROUTE_GATEWAY	       5
#define ADDRESS_NO_DAD	       2 /* flags: used at once, without a search for duplicates */
#define ROUTE_TABLE_MAIN       254
#define ROUTE_BY_BOOT	       3
#define ROUTE_UNICAST	       1

/* The size of a block device, in bytes. */
#define IOCTL_DEVICE_SIZE _IOR(0x12, 114, size_t)

/* random(4): credit entropy; renew the generator's key at once. */
#define IOCTL_ADD_ENTROPY _IOW('R', 0x03, int[2])
#define IOCTL_RESEED	  _IO('R', 0x07)

#ifndef TIOCGPTPEER
#define TIOCGPTPEER _IO('T', 0x41)
#endif

#endif
