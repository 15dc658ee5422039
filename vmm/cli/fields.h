/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of a JSON object of the monitor, to be printed. */
#ifndef CORDON_CLI_FIELDS_H
#define CORDON_CLI_FIELDS_H

#include <jansson.h>

/* "" if there is no such string. */
static inline const char *text_in(const json_t *body, const char *name)
{
	const char *text = json_string_value(json_object_get(body, name));

	return text ? text : "";
}

/* "-" if there is no such string: for tables. */
static inline const char *cell_in(const json_t *body, const char *name)
{
	const char *text = json_string_value(json_object_get(body, name));

	return text ? text : "-";
}

/* 0 if there is no such integer. */
static inline long long number_in(const json_t *body, const char *name)
{
	return (long long)json_integer_value(json_object_get(body, name));
}

#endif
