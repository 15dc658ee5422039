/* SPDX-License-Identifier: Apache-2.0 */
/* What the MMIO transport's tests share. */
#ifndef CORDON_TEST_MMIO_COMMON_H
#define CORDON_TEST_MMIO_COMMON_H

#include "devices/virtio/mmio.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "tests/support/fake_guest.h"
#include "tests/support/unit.h"

#define ACK	    FAKE_ST_ACKNOWLEDGE
#define DRIVER	    FAKE_ST_DRIVER
#define OK	    FAKE_ST_DRIVER_OK
#define FEAT	    FAKE_ST_FEATURES_OK
#define RESET	    FAKE_ST_NEEDS_RESET
#define FAILED	    FAKE_ST_FAILED
#define LIVE	    (ACK | DRIVER | FEAT | OK)
#define CONFIG_SIZE 10
#define QUEUES	    3
#define FEATURE_A   (UINT64_C(1) << 3)
#define FEATURE_B   (UINT64_C(1) << 40)

struct dev_state {
	struct virtio_device device;
	unsigned activations, resets, notified[QUEUES];
	int refuse; /* what activate returns */
	uint8_t config[CONFIG_SIZE];
};
extern struct dev_state dev;
extern struct fake_guest guest;
extern struct virtio_device_ops ops;

void begin(void);
void end(void);

/* Every valid status; go_to() takes the device to one as a driver does. */
extern const uint32_t states[10];

void go_to(uint32_t state);

#endif
