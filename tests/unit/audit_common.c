/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/audit_common.h"

struct err why;
struct audit_check chains;
unsigned found;
