/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/relay/literal.h"

#include <arpa/inet.h>
#include <string.h>

bool literal_like(const char *name)
{
	const char *dot = strrchr(name, '.'), *label = dot ? dot + 1 : name;

	if (label[0] == '0' && label[1] == 'x')
		return label[2 + strspn(label + 2, "0123456789abcdef")] == '\0';
	return label[0] != '\0' && label[strspn(label, "0123456789")] == '\0';
}

bool literal_ipv4(const char *name)
{
	char text[INET_ADDRSTRLEN];
	struct in_addr address;

	return inet_pton(AF_INET, name, &address) == 1 &&
	       inet_ntop(AF_INET, &address, text, sizeof(text)) && strcmp(text, name) == 0;
}
