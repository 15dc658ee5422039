/* SPDX-License-Identifier: Apache-2.0 */
/* cordon unpublish: close a published port of a sandbox. */
#include <errno.h>
#include <string.h>

#include "vmm/base/quantity.h"
#include "vmm/cli/request.h"
#include "vmm/cli/verb.h"

static int parse_port(char *text, uint64_t *port, bool *udp, struct err *err)
{
	char *slash = strchr(text, '/');
	struct err why;

	if (strchr(text, ':'))
		return err_set(
			err, EINVAL,
			"'%s': give the port of the host only, the column HOSTPORT of 'cordon "
			"ports'",
			text);
	*udp = slash && strcmp(slash, "/udp") == 0;
	if (slash && !*udp && strcmp(slash, "/tcp") != 0)
		return err_set(err, EINVAL, "'%s' is not HOSTPORT[/tcp|/udp]", text);
	if (slash)
		*slash = '\0';
	if (quantity_number(text, 1, UINT16_MAX, port, &why) < 0)
		return err_set(err, EINVAL, "'%s' is not a port of the host: 1 to 65535", text);
	return 0;
}

static int run(int argc, char **argv, struct err *err)
{
	struct message reply;
	uint64_t port;
	static const struct verb_words words = {&verb_unpublish, NULL, 2, 2,
						"which port of which sandbox?"};
	bool udp;
	int ret = verb_words(&words, NULL, 0, argc, argv, err);

	if (ret < 0)
		return ret;
	ret = parse_port(argv[2], &port, &udp, err);
	if (ret == 0)
		ret = client_request_once(argv[1], PATIENCE_MS,
					  json_pack("{s:s,s:I,s:b}", "op", "unpublish", "port",
						    (json_int_t)port, "udp", (int)udp),
					  &reply, err);
	if (ret == 0)
		message_clear(&reply);
	return ret;
}

const struct verb verb_unpublish = {
	.name = "unpublish",
	.group = VERB_SANDBOXES,
	.usage = "NAME HOSTPORT[/udp]",
	.summary = "close a published port of a sandbox, and its connections",
	.description = "Also one that `--publish` has opened. HOSTPORT is closed on all addresses "
		       "of the host on which it was published for this sandbox.",
	.see_also = "publish ports",
	.run = run,
};
