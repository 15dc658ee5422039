/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/request.h"

#include <errno.h>
#include <stdlib.h>

#include "vmm/base/log.h"
#include "vmm/control/registry.h"

void request_print_planted(const struct message *reply)
{
	const json_t *list = json_object_get(reply->body, "planted"), *text;
	size_t i;

	json_array_foreach(list, i, text) if (json_is_string(text))
		log_warning("%s", json_string_value(text));
}

/* A list that ends with NULL. NULL: one is not UTF-8, or out of memory. */
static json_t *list_of(const char *const *words)
{
	json_t *list = json_array();

	for (; list && *words; words++)
		if (json_array_append_new(list, json_string(*words)) < 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

json_t *request_exec(const char *verb, const struct command_options *command, char *const *argv,
		     struct err *err)
{
	json_t *words = list_of((const char *const *)argv), *env = list_of(command->env);

	if (!words || !env) {
		err_set(err, EINVAL, "%s: %s is not valid UTF-8", verb,
			words ? "a variable" : "an argument");
		json_decref(words);
		json_decref(env);
		return NULL;
	}
	return json_pack("{s:s,s:o,s:o,s:s*,s:s*,s:I}", "op", "exec", "argv", words, "env", env,
			 "workdir", command->workdir, "user", command->user, "timeout_ms",
			 (json_int_t)(command->timeout_ns / 1000000));
}

int request_send(const char *name, json_t *request, struct err *err)
{
	struct message reply;
	int ret = client_request_once(name, 0, request, &reply, err);

	if (ret < 0)
		return ret;
	request_print_planted(&reply);
	message_clear(&reply);
	return 0;
}

int request_kill(const char *name, struct err *err)
{
	struct message reply;
	pid_t pid;
	int ret = registry_find(name, &pid, err);

	if (ret < 0)
		return ret;
	ret = client_request_once(name, PATIENCE_MS,
				  json_pack("{s:s,s:b}", "op", "stop", "kill", 1), &reply, err);
	if (ret == 0) {
		request_print_planted(&reply);
		message_clear(&reply);
	} else {
		ret = registry_kill(name, err);
	}
	return ret == -ESRCH ? 0 : ret; /* it ended meanwhile */
}

int request_each(char *const *names, int count, request_each_fn each, void *arg)
{
	int i, status = 0;
	struct err err;

	for (i = 0; i < count; i++) {
		err = (struct err){.text = ""};
		if (each(names[i], arg, &err) == 0)
			continue;
		log_error("%s", err.text);
		status = EXIT_CORDON;
	}
	return status;
}

int request_each_running(request_each_fn each, void *arg, struct err *err)
{
	struct registry_entry *entries = NULL;
	int i, status = 0, count = registry_list(&entries, err);
	char *name;

	for (i = 0; i < count; i++) {
		name = entries[i].name;
		if (request_each(&name, 1, each, arg) != 0)
			status = EXIT_CORDON;
	}
	free(entries);
	return count < 0 ? count : status;
}

int request_names(const struct verb *verb, const struct option_set *set, int argc, char **argv,
		  const bool *all, struct err *err)
{
	const struct verb_words words = {verb, NULL, 0, VERB_WORDS_ANY, NULL};
	int count = verb_words(&words, set, 1, argc, argv, err);

	if (count == 0 && !*all)
		return verb_usage_error(verb, NULL, "which sandbox?", err);
	if (count > 0 && *all)
		return verb_usage_error(verb, NULL, "either names or --all", err);
	return count;
}

int request_verb(const struct verb *verb, int argc, char **argv, request_each_fn each,
		 struct err *err)
{
	const struct verb_words words = {verb, NULL, 1, VERB_WORDS_ANY, "which sandbox?"};
	int count = verb_words(&words, NULL, 0, argc, argv, err);

	return count < 0 ? count : request_each(argv + 1, count, each, NULL);
}
