/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fault injection for unit tests. In the programs below build/fault, what the code under test calls
 * is fault_NAME() (calls.c) where that exists, with the arguments of NAME; what the tests and their
 * support call is NAME. The environment says which call fails:
 *
 * - CORDON_FAULT: alloc (no memory), fd (EMFILE), disk (ENOSPC), eintr (EINTR), or short (half of
 *   what was asked for is read or written). Without it no call fails.
 * - CORDON_FAULT_AT: the first, second, ... call of that kind, counted from 1 in each test anew.
 * - CORDON_FAULT_COUNT: a file of 4 bytes, which gets the largest number of such calls in a test.
 */
#ifndef CORDON_TESTS_FAULT_H
#define CORDON_TESTS_FAULT_H

#include <stdbool.h>

enum fault_kind { FAULT_NONE, FAULT_ALLOC, FAULT_FD, FAULT_DISK, FAULT_EINTR, FAULT_SHORT };

/* Counts a call of this kind. Whether it is the one that is to fail. */
bool fault_is_due(enum fault_kind kind);

#endif
