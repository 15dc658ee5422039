/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/files/host_root.h"

#include <string.h>

#include "vmm/base/bytes.h"

/*
 * Whole directories and single files. From /etc, nothing that names users, hosts or secrets of this
 * host (passwd, group, hosts, shadow, ssh, ssl/private, machine-id, environment): the agent makes
 * its own passwd, group and hosts.
 */
static const char *const shown[] = {
	"/usr",
	"/bin",
	"/sbin",
	"/lib",
	"/lib32",
	"/lib64",
	"/libx32",
	/* names, time, terminals */
	"/etc/alternatives",
	"/etc/debian_version",
	"/etc/fonts",
	"/etc/gai.conf",
	"/etc/host.conf",
	"/etc/inputrc",
	"/etc/locale.alias",
	"/etc/localtime",
	"/etc/lsb-release",
	"/etc/magic",
	"/etc/mime.types",
	"/etc/nsswitch.conf",
	"/etc/os-release",
	"/etc/protocols",
	"/etc/redhat-release",
	"/etc/rpc",
	"/etc/services",
	"/etc/terminfo",
	"/etc/timezone",
	/* the dynamic loader */
	"/etc/ld.so.cache",
	"/etc/ld.so.conf",
	"/etc/ld.so.conf.d",
	/* certificates, which are public; the private keys beside them are not in the list */
	"/etc/ca-certificates",
	"/etc/ca-certificates.conf",
	"/etc/pki/ca-trust/extracted",
	"/etc/pki/tls/cert.pem",
	"/etc/pki/tls/certs",
	"/etc/ssl/cert.pem",
	"/etc/ssl/certs",
	"/etc/ssl/openssl.cnf",
	/* languages */
	"/etc/java-11-openjdk",
	"/etc/java-17-openjdk",
	"/etc/java-21-openjdk",
	"/etc/perl",
	"/etc/python3",
	"/etc/python3.9",
	"/etc/python3.10",
	"/etc/python3.11",
	"/etc/python3.12",
	"/etc/python3.13",
	"/etc/python3.14",
};

/* Whether `path` is `top` or beneath it. */
static bool is_at_or_below(const char *path, size_t length, const char *top, size_t top_length)
{
	return length >= top_length && memcmp(path, top, top_length) == 0 &&
	       (length == top_length || path[top_length] == '/');
}

bool host_root_shows(const char *path, size_t length)
{
	size_t i, entry;

	if (length == 1 && path[0] == '/')
		return true;
	for (i = 0; i < ARRAY_SIZE(shown); i++) {
		entry = strlen(shown[i]);
		if (is_at_or_below(path, length, shown[i], entry) ||
		    is_at_or_below(shown[i], entry, path, length))
			return true;
	}
	return false;
}
