/* SPDX-License-Identifier: Apache-2.0 */
/* The part of an image's configuration for starting programs. */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "vmm/image/manifest.h"

/* Adds a list of strings for execve(): bounded, without NUL bytes. variables: NAME=VALUE each. */
static int add_strings(json_t *settings, const char *name, const json_t *strings, bool variables,
		       struct err *err)
{
	json_t *list = json_array(), *string;
	const char *text;
	size_t i, bytes = 0;

	json_object_set_new(settings, name, list);
	if (!strings || json_is_null(strings))
		return 0;
	if (!json_is_array(strings) || json_array_size(strings) > IMAGE_STRINGS_MAX)
		return err_set(err, EPROTO, "the image's %s is not a list of at most %d strings",
			       name, IMAGE_STRINGS_MAX);
	for (i = 0; i < json_array_size(strings); i++) {
		string = json_array_get(strings, i);
		text = json_string_value(string);
		if (!text || strlen(text) != json_string_length(string) ||
		    (variables && (text[0] == '=' || !strchr(text, '='))))
			return err_set(err, EPROTO, "the image's %s has an invalid string", name);
		bytes += strlen(text) + 1;
		json_array_append(list, string);
	}
	if (bytes > IMAGE_STRINGS_BYTES_MAX)
		return err_set(err, EPROTO, "the image's %s has more than %d bytes", name,
			       IMAGE_STRINGS_BYTES_MAX);
	return 0;
}

static int add_text(json_t *settings, const char *name, const json_t *text, struct err *err)
{
	const char *value = text && !json_is_null(text) ? json_string_value(text) : "";

	if (!value || strlen(value) > 1024 ||
	    (value[0] && strlen(value) != json_string_length(text)))
		return err_set(err, EPROTO, "the image's %s is not a short text", name);
	json_object_set_new(settings, name, json_string(value));
	return 0;
}

/* Volumes: an object whose keys are paths. */
static int add_volumes(json_t *settings, json_t *volumes, struct err *err)
{
	json_t *list = json_array();
	void *at = json_object_iter(volumes);
	int ret;

	for (; at; at = json_object_iter_next(volumes, at))
		json_array_append_new(list, json_string(json_object_iter_key(at)));
	ret = add_strings(settings, "volumes", list, false, err);
	json_decref(list);
	return ret;
}

json_t *image_settings(const json_t *configuration, struct err *err)
{
	const json_t *config = json_object_get(configuration, "config");
	json_t *settings = json_object();
	int ret;

	ret = add_strings(settings, "env", json_object_get(config, "Env"), true, err);
	if (ret == 0)
		ret = add_strings(settings, "entrypoint", json_object_get(config, "Entrypoint"),
				  false, err);
	if (ret == 0)
		ret = add_strings(settings, "cmd", json_object_get(config, "Cmd"), false, err);
	if (ret == 0)
		ret = add_volumes(settings, json_object_get(config, "Volumes"), err);
	if (ret == 0)
		ret = add_text(settings, "workdir", json_object_get(config, "WorkingDir"), err);
	if (ret == 0)
		ret = add_text(settings, "user", json_object_get(config, "User"), err);
	if (ret == 0)
		return settings;
	json_decref(settings);
	return NULL;
}
