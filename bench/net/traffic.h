/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients in a network namespace of their own behind a tap device, whose stack stands for a
 * guest's. They end with this process, which exits with a message on any error.
 */
#ifndef CORDON_BENCH_TRAFFIC_H
#define CORDON_BENCH_TRAFFIC_H

#include <stdbool.h>

#include "bench/net/measures.h"

/*
 * Starts the clients behind the tap device *tap_fd, for measurements of so many seconds. Returns
 * the socket that controls them. offload: each frame has a struct virtio_net_hdr_v1, and checksums
 * and segmentation are left to the other end.
 */
int traffic_guest(int *tap_fd, double seconds, bool offload);

struct outcome traffic_measure(int command_fd, enum measure what);

#endif
