/* SPDX-License-Identifier: Apache-2.0 */
/* The presets: share/policies, built in. */
#include <string.h>

#include "vmm/base/bytes.h"
#include "vmm/base/nearest.h"
#include "vmm/policy/policy.h"

static const struct {
	const char *name, *text;
} presets[] = {
#include <presets.inc>
};

const char *policy_preset_text(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(presets); i++)
		if (strcmp(presets[i].name, name) == 0)
			return presets[i].text;
	return NULL;
}

const char *policy_preset_name(size_t index)
{
	return index < ARRAY_SIZE(presets) ? presets[index].name : NULL;
}

const char *policy_preset_near(const char *name)
{
	const char *names[ARRAY_SIZE(presets)];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(presets); i++)
		names[i] = presets[i].name;
	return nearest_word(name, names, ARRAY_SIZE(names));
}
