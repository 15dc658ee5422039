/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of net filter share. */
#ifndef CORDON_TEST_NET_FILTER_COMMON_H
#define CORDON_TEST_NET_FILTER_COMMON_H

#include <malloc.h>

#include "tests/support/net_filter_host.h"

/* Sends on a fresh connection; true if the peer received any of it, false if both got a reset. */
bool heard(uint32_t target, uint16_t port, const void *data, size_t length);

#endif
