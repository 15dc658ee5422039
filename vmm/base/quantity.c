/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/quantity.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/base/bytes.h"

int quantity_number(const char *text, uint64_t low, uint64_t high, uint64_t *out, struct err *err)
{
	unsigned long long value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || *end || errno || value < low || value > high)
		return err_set(err, EINVAL, "'%s' is not a whole number from %llu to %llu", text,
			       (unsigned long long)low, (unsigned long long)high);
	*out = value;
	return 0;
}

int quantity_millis(const char *text, uint64_t low, uint64_t high, uint64_t *out, struct err *err)
{
	static const unsigned scale[] = {1000, 100, 10, 1};
	size_t whole = strspn(text, "0123456789"), digits = 0, i;
	uint64_t value = 0;

	if (text[whole] == '.')
		digits = strspn(text + whole + 1, "0123456789");
	/* At most seven digits before the point, so that nothing overflows. */
	if (whole == 0 || whole > 7 || digits > 3 || (text[whole] && digits == 0) ||
	    text[whole + (digits ? digits + 1 : 0)])
		goto bad;
	for (i = 0; i < whole; i++)
		value = value * 10 + (uint64_t)(text[i] - '0');
	for (i = 0; i < digits; i++)
		value = value * 10 + (uint64_t)(text[whole + 1 + i] - '0');
	value *= scale[digits];
	if (value < low || value > high)
		goto bad;
	*out = value;
	return 0;
bad:
	return err_set(err, EINVAL,
		       "'%s' is not a number from %g to %g with at most three decimals", text,
		       (double)low / 1000, (double)high / 1000);
}

int quantity_size(const char *text, uint64_t *bytes, struct err *err)
{
	static const char units[] = "KMGT";
	unsigned long long value;
	const char *unit;
	unsigned shift = 0;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)text[0]) || errno)
		goto bad;
	if (*end) {
		unit = strchr(units, toupper((unsigned char)*end));
		if (!unit || (end[1] && strcmp(end + 1, "iB") != 0 && strcmp(end + 1, "B") != 0))
			goto bad;
		shift = 10 * (unsigned)(unit - units + 1);
	}
	if (value > UINT64_MAX >> shift)
		goto bad;
	*bytes = value << shift;
	return 0;
bad:
	return err_set(err, EINVAL, "'%s' is not a size such as 256M or 2G", text);
}

int quantity_duration(const char *text, uint64_t *ns, struct err *err)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} units[] = {
		{"", 1000000000},	   {"s", 1000000000},		{"ms", 1000000},
		{"m", 60 * 1000000000ull}, {"h", 3600 * 1000000000ull},
	};
	unsigned long long value;
	size_t i;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 10);
	for (i = 0; isdigit((unsigned char)text[0]) && !errno && i < ARRAY_SIZE(units); i++)
		if (strcmp(end, units[i].name) == 0 && value > 0 &&
		    !mul_overflows((uint64_t)value, units[i].ns, ns))
			return 0;
	return err_set(err, EINVAL, "'%s' is not a time such as 30s, 5m or 250ms", text);
}
