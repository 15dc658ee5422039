/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tap, the backend for administrators: an interface of the host that is there already, with an
 * IPv4 address, whose other end the sandbox is. What leaves it the host routes.
 *
 * On the wire the guest has the lowest address of the interface's network that the host has not,
 * and the host's own address stands for ADDRESS_HOST; both are translated here, so that guest and
 * filter know one network only, whatever the backend is. The wire has no vnet header: the card has
 * no segmentation offload, and the filter wants checksums that are right.
 *
 * Frames are given to the host's network stack at once, so there is always room to send. All calls
 * from the loop's thread or with the device lock held.
 */
#ifndef CORDON_NET_TAP_H
#define CORDON_NET_TAP_H

#include "vmm/base/err.h"
#include "vmm/base/loop.h"
#include "vmm/net/backend.h"
#include "vmm/net/frame.h"

#define TAP_NAME_MAX 15 /* bytes of an interface's name */

struct tap;

/* What the wire is like. Addresses are IPv4. */
struct tap_wire {
	uint32_t guest, host;
	uint8_t guest_mac[FRAME_MAC], host_mac[FRAME_MAC];
	unsigned mtu;
};

/*
 * Attaches to an interface. 0 or -errno with a message that says what to do (there is none of that
 * name, it is another's, has no address ...). Frames come after tap_resume().
 */
int tap_create(struct tap **out, struct loop *loop, const char *name, const struct backend_ops *ops,
	       void *arg, struct err *err);

/* NULL is harmless. The interface stays. */
void tap_destroy(struct tap *tap);

const struct tap_wire *tap_wire(const struct tap *tap);
void tap_send(struct tap *tap, const uint8_t *frame, size_t length);
void tap_resume(struct tap *tap);

/*
 * The guest's address beside a host's address with a prefix: the lowest of that network's. 0: there
 * is none (a prefix of 32).
 */
uint32_t tap_guest_address(uint32_t host, unsigned prefix);

/*
 * Translates a frame to the wire, and from it. False: it has an address that must not be there, and
 * is to be dropped. What does not parse is left as it is: the filter drops it.
 */
bool tap_to_wire(const struct tap_wire *wire, uint8_t *frame, size_t length);
bool tap_from_wire(const struct tap_wire *wire, uint8_t *frame, size_t length);

#endif
