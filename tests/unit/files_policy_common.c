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
	host_mkdir(&host, "denied");
	host_write(&host, "denied/f", "denied");
	host_mkdir(&host, "read");
	host_write(&host, "read/f", "read");
	host_mkdir(&host, "log");
	host_write(&host, "log/f", "log");
	host_mkdir(&host, "d");
	host_write(&host, "d/f", "d");
	host_write(&host, "d/.env", "hidden");
	host_write(&host, ".env", "hidden");
	host_write(&host, "f", "f");
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
