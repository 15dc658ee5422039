/* SPDX-License-Identifier: Apache-2.0 */
/* What of the host `--rootfs host` shows. */
#include "vmm/files/host_root.h"

#include <string.h>

#include "tests/unit/unit.h"

START_TEST(programs_are_shown_and_secrets_are_not)
{
	static const struct {
		const char *path;
		bool shown;
	} cases[] = {
		{"/", true},
		{"/usr", true},
		{"/usr/lib/x86_64-linux-gnu/libc.so.6", true},
		{"/usrx", false},
		{"/us", false},
		{"/bin", true},
		{"/bin/sh", true},
		{"/lib64/ld-linux-x86-64.so.2", true},
		{"/lib6", false},
		{"/etc", true},
		{"/etc/ssl", true},
		{"/etc/ssl/certs", true},
		{"/etc/ssl/certs/ca-certificates.crt", true},
		{"/etc/ssl/certsx", false},
		{"/etc/ssl/private", false},
		{"/etc/ssl/private/key.pem", false},
		{"/etc/pki/tls", true},
		{"/etc/pki/tls/private", false},
		{"/etc/ld.so.cache", true},
		{"/etc/shadow", false},
		{"/etc/passwd", false},
		{"/etc/ssh/ssh_host_rsa_key", false},
		{"/etc/machine-id", false},
		{"/etc/environment", false},
		{"/root", false},
		{"/root/.ssh/id_rsa", false},
		{"/home", false},
		{"/home/user", false},
		{"/var", false},
		{"/run", false},
		{"/tmp", false},
		{"/proc", false},
		{"/proc/self/root/usr", false},
		{"/sys", false},
		{"/dev", false},
		{"/boot", false},
		{"/opt", false},
		{"/srv", false},
		{"/mnt", false},
		{"//usr", false}, /* not normalised: nobody asks so */
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		ck_assert_msg(host_root_shows(cases[i].path, strlen(cases[i].path)) ==
				      cases[i].shown,
			      "%s", cases[i].path);
	/* Not ended by a zero byte. */
	ck_assert(host_root_shows("/usr/bin", 4) && !host_root_shows("/usr/bin", 3));
}
END_TEST

UNIT_MAIN("host root", programs_are_shown_and_secrets_are_not)
