/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of net ask share. */
#ifndef CORDON_TEST_NET_ASK_COMMON_H
#define CORDON_TEST_NET_ASK_COMMON_H

#include "tests/support/net_filter_host.h"

extern const struct rule asks[9];

void knock(uint16_t port, uint16_t from);
void answer(enum filter_answer what);
bool was_reset(void);

#endif
