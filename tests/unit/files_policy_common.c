/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/files_policy_common.h"

struct files_host host;
struct p9_client *const client = &host.client;

const char rules[] = "file hide   /w/**/.env\n"
		     "file deny   /w/denied/**\n"
		     "file read   /w/read/**\n"
		     "file append /w/log/**\n"
		     "file write  /w/**\n";

void begin(const char *policy, bool read_only)
{
	files_host_begin(&host, policy, read_only);
	files_host_fill(&host);
}

void end(void)
{
	/* Whatever was tried, these are as they were. */
	ck_assert_str_eq(host_read(&host, "denied/f"), "denied");
	ck_assert_str_eq(host_read(&host, "read/f"), "read");
	ck_assert_str_eq(host_read(&host, ".env"), "hidden");
	ck_assert_str_eq(host_read(&host, "d/.env"), "hidden");
	files_host_end(&host);
}

char last[256]; /* way that led there */
