/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/cli/print.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/log.h"
#include "vmm/base/text.h"

void print_json_line(const char *line, size_t length)
{
	text_write(stdout, line, length, TEXT_JSON);
	putchar('\n');
}

void print_json(const json_t *json, size_t flags)
{
	char *text = json_dumps(json, flags);

	if (text)
		print_json_line(text, strlen(text));
	else
		log_error("out of memory");
	free(text);
}
