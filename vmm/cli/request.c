/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/request.h"

#include "vmm/base/log.h"
#include "vmm/cli/verb.h"

int request_one_name(const struct verb *verb, int argc, char **argv, struct err *err)
{
	if (argc == 2 && argv[1][0] != '-')
		return 0;
	return verb_usage_error(verb, NULL, "one name is needed", err);
}

void request_print_planted(const struct message *reply)
{
	const json_t *list = json_object_get(reply->body, "planted"), *text;
	size_t i;

	json_array_foreach(list, i, text) if (json_is_string(text))
		log_warning("%s", json_string_value(text));
}

int request_simple(const struct verb *verb, int argc, char **argv, json_t *request, struct err *err)
{
	struct message reply;
	int ret = request_one_name(verb, argc, argv, err);

	if (ret < 0)
		json_decref(request);
	else
		ret = client_request_once(argv[1], 0, request, &reply, err);
	if (ret < 0)
		return ret;
	request_print_planted(&reply);
	message_clear(&reply);
	return 0;
}
