/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tap, for administrators: an existing interface of the host with an IPv4 address, and perhaps an
 * IPv6 one, at whose other end the sandbox's card is. The host's kernel routes what crosses it, and
 * nothing is filtered.
 *
 * Each frame has the header of virtio 1.2, 5.1.6 before it (struct virtio_net_hdr_v1, little
 * endian, num_buffers unused), and passes as it is: a checksum or a segmentation that the guest
 * leaves to its card is the kernel's, and the kernel leaves to the guest what tap_set_offloads()
 * says. The kernel checks the headers that it is given.
 *
 * The host's network stack takes frames at once, so there is always room to send. Call from the
 * loop's thread or with the device lock held.
 */
#ifndef CORDON_NET_TAP_H
#define CORDON_NET_TAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/base/loop.h"

#define TAP_NAME_MAX  15 /* bytes of an interface's name */
#define TAP_MAC	      6
#define TAP_IPV6      16
#define TAP_HEADER    12
#define TAP_FRAME_MAX (14 + 4 + 65535) /* Ethernet with a VLAN tag, and the longest IP packet */

struct tap;

/* The interface, and what the guest has at its other end. */
struct tap_wire {
	uint32_t guest, host; /* IPv4, in host byte order */
	unsigned prefix;      /* 1 to 30 */
	/* IPv6, if the interface has an address other than a link-local one; in network byte order
	 */
	uint8_t guest6[TAP_IPV6], host6[TAP_IPV6];
	unsigned prefix6; /* 1 to 126; 0: none */
	uint8_t guest_mac[TAP_MAC];
	unsigned mtu;
};

struct tap_ops {
	/* Whether the owner accepts a frame now; if not, it calls tap_resume() later. */
	bool (*room)(void *arg);
	/* A frame from the host; the owner may change the bytes. */
	void (*frame)(void *arg, const uint8_t header[TAP_HEADER], uint8_t *frame, size_t length);
	/* The interface is gone: no more frames. why: one line. Must not destroy the tap. */
	void (*died)(void *arg, const char *why);
};

/*
 * Attaches to an interface and reads its wire. A descriptor for tap_create(); or -errno with a
 * message that names the remedy (there is no such interface, it belongs to another user, has no
 * address ...).
 */
int tap_open(const char *name, struct tap_wire *wire, struct err *err);

/*
 * Makes a tap of a descriptor, which it takes also on failure. Frames come after tap_resume(). 0 or
 * -errno.
 */
int tap_create(struct tap **out, struct loop *loop, int fd, const struct tap_ops *ops, void *arg);

/* NULL is harmless. The interface stays. */
void tap_destroy(struct tap *tap);

/*
 * What later frames from the host may leave to the guest: partial checksums, and with them TCP
 * segments to be cut (TSO, IPv4 and IPv6). Nothing until the first call. A frame that is on its way
 * already may have more.
 */
void tap_set_offloads(struct tap *tap, bool partial, bool tso4, bool tso6);

/* Passes a frame to the host. It is lost if the kernel refuses it or the interface is down. */
void tap_send(struct tap *tap, const uint8_t header[TAP_HEADER], const uint8_t *frame,
	      size_t length);
void tap_resume(struct tap *tap);

/*
 * The guest's address for a host address with a prefix: the lowest free one of that network. 0:
 * the network has no room for two (a prefix above 30), or is everything.
 */
uint32_t tap_guest_address(uint32_t host, unsigned prefix);

/* The same for IPv6, but the lowest address of all, which is the routers'. false: no room. */
bool tap_guest_address6(const uint8_t host[TAP_IPV6], unsigned prefix, uint8_t guest[TAP_IPV6]);

#endif
