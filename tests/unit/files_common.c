/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/files_common.h"

struct files_host host;
struct p9_client *const client = &host.client;
