/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tap, the backend for administrators: an existing interface of the host with an IPv4 address.
 * The sandbox is at its other end, and the host routes what it sends.
 *
 * On the wire the guest has the lowest address of the interface's network that is not the host's,
 * and ADDRESS_HOST is the host's own address. Both are translated here, so that guest and filter
 * see the same network with every backend. The wire has no vnet header: the card has no
 * segmentation offload, and the filter needs correct checksums.
 *
 * The host's network stack takes frames at once, so there is always room to send. Call from the
 * loop's thread or with the device lock held.
 */
#ifndef CORDON_NET_TAP_H
#define CORDON_NET_TAP_H

#include "vmm/base/err.h"
#include "vmm/base/loop.h"
#include "vmm/net/backend.h"
#include "vmm/net/frame.h"

#define TAP_NAME_MAX 15 /* bytes of an interface's name */

struct tap;

/* Parameters of the wire. Addresses are IPv4. */
struct tap_wire {
	uint32_t guest, host;
	uint8_t guest_mac[FRAME_MAC], host_mac[FRAME_MAC];
	unsigned mtu;
};

/*
 * Attaches to an interface. 0; or -errno with a message that names the remedy (there is no such
 * interface, it belongs to another user, has no address ...). Frames come after tap_resume().
 */
int tap_create(struct tap **out, struct loop *loop, const char *name, const struct backend_ops *ops,
	       void *arg, struct err *err);

/* NULL is harmless. The interface stays. */
void tap_destroy(struct tap *tap);

const struct tap_wire *tap_wire(const struct tap *tap);
void tap_send(struct tap *tap, const uint8_t *frame, size_t length);
void tap_resume(struct tap *tap);

/*
 * The guest's address for a host address with a prefix: the lowest free one of that network. 0:
 * there is none (a prefix of 32).
 */
uint32_t tap_guest_address(uint32_t host, unsigned prefix);

/*
 * Translate a frame to the wire, and from it. False: drop the frame, it has an address that is not
 * allowed there. From the wire, a frame that does not parse is unchanged: the filter drops it.
 */
bool tap_to_wire(const struct tap_wire *wire, uint8_t *frame, size_t length);
bool tap_from_wire(const struct tap_wire *wire, uint8_t *frame, size_t length);

#endif
