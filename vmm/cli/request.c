/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/request.h"

#include <errno.h>

#include "vmm/base/log.h"
#include "vmm/cli/cli.h"

int request_one_name(int argc, char **argv, struct err *err)
{
	if (argc == 2 && argv[1][0] != '-')
		return 0;
	return err_set(err, EINVAL, "%s: one name is needed: cordon %s NAME", argv[0], argv[0]);
}

void request_print_planted(const struct message *answer)
{
	const json_t *list = json_object_get(answer->body, "planted"), *text;
	size_t i;

	json_array_foreach(list, i, text) if (json_is_string(text))
		log_warning("%s", json_string_value(text));
}

int request_simple(int argc, char **argv, json_t *request)
{
	struct message answer;
	struct err err;
	int ret = request_one_name(argc, argv, &err);

	if (ret < 0)
		json_decref(request);
	else
		ret = client_request_once(argv[1], 0, request, &answer, &err);
	if (ret < 0) {
		log_error("%s", err.text);
		return EXIT_CORDON;
	}
	request_print_planted(&answer);
	message_clear(&answer);
	return 0;
}
