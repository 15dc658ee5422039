/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of policy share. */
#ifndef CORDON_TEST_POLICY_COMMON_H
#define CORDON_TEST_POLICY_COMMON_H

#include "vmm/policy/policy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/unit.h"
#include "vmm/policy/narrow.h"

extern const struct policy_source here;
extern struct err why;

/* With `policy 1` and a share before it, in the lines 1 and 2. */
struct policy *parse_with(const char *text, bool lenient, int *ret);

struct policy *good(const char *text);

enum policy_verdict ask_file(const struct policy *policy, enum policy_op op, const char *path);

enum policy_verdict rename_directory(const struct policy *policy, const char *from, const char *to);

#endif
