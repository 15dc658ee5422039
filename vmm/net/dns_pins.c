/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/net/dns_pins.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 8192 /* a power of two */

int dns_pins_init(struct dns_pins *pins)
{
	*pins = (struct dns_pins){.fresh = 1};
	pins->pin = calloc(PINS_MAX + 1, sizeof(*pins->pin));
	pins->bucket = calloc(BUCKETS, sizeof(*pins->bucket));
	if (!pins->pin || !pins->bucket)
		return -ENOMEM;
	return siphash_key_random(&pins->key);
}

void dns_pins_destroy(struct dns_pins *pins)
{
	if (pins->pin && pins->bucket)
		dns_pins_clear(pins);
	free(pins->pin);
	free(pins->bucket);
	*pins = (struct dns_pins){.fresh = 1};
}

static uint32_t *bucket_of(const struct dns_pins *pins, const uint8_t *address)
{
	return &pins->bucket[siphash(&pins->key, address, PIN_ADDRESS) & (BUCKETS - 1)];
}

static bool is_of(const struct pin *pin, const uint8_t *address)
{
	return memcmp(pin->address, address, PIN_ADDRESS) == 0;
}

static struct pin *find(const struct dns_pins *pins, const char *name, const uint8_t *address)
{
	uint32_t at;

	for (at = *bucket_of(pins, address); at != 0; at = pins->pin[at].chain)
		if (is_of(&pins->pin[at], address) && strcmp(pins->pin[at].name, name) == 0)
			return &pins->pin[at];
	return NULL;
}

static void unlink_age(struct dns_pins *pins, struct pin *pin)
{
	if (pin->older)
		pins->pin[pin->older].newer = pin->newer;
	else
		pins->oldest = pin->newer;
	if (pin->newer)
		pins->pin[pin->newer].older = pin->older;
	else
		pins->newest = pin->older;
}

static void link_newest(struct dns_pins *pins, struct pin *pin)
{
	uint32_t number = (uint32_t)(pin - pins->pin);

	pin->newer = 0;
	pin->older = pins->newest;
	if (pin->older)
		pins->pin[pin->older].newer = number;
	else
		pins->oldest = number;
	pins->newest = number;
}

static void remove_pin(struct dns_pins *pins, struct pin *pin)
{
	uint32_t number = (uint32_t)(pin - pins->pin), *at;

	for (at = bucket_of(pins, pin->address); *at != number; at = &pins->pin[*at].chain)
		;
	*at = pin->chain;
	unlink_age(pins, pin);
	free(pin->name);
	*pin = (struct pin){.chain = pins->unused};
	pins->unused = number;
	pins->count--;
}

/* Adds a pin, without a time yet. */
static struct pin *add(struct dns_pins *pins, const char *name, const uint8_t *address)
{
	uint32_t number, *bucket = bucket_of(pins, address);
	char *copy = strdup(name);
	struct pin *pin;

	if (!copy)
		return NULL;
	if (pins->count == PINS_MAX)
		remove_pin(pins, &pins->pin[pins->oldest]);
	number = pins->unused;
	if (number)
		pins->unused = pins->pin[number].chain;
	else
		number = pins->fresh++;
	pin = &pins->pin[number];
	*pin = (struct pin){.name = copy, .chain = *bucket};
	memcpy(pin->address, address, PIN_ADDRESS);
	*bucket = number;
	link_newest(pins, pin);
	pins->count++;
	return pin;
}

int dns_pins_add(struct dns_pins *pins, const char *name, const uint8_t address[PIN_ADDRESS],
		 uint32_t ttl, uint64_t now_ns)
{
	uint64_t seconds = min_u64(ttl, PIN_TTL_MAX);
	uint64_t until = now_ns + seconds * UINT64_C(1000000000) + PIN_GRACE_NS;
	struct pin *pin = find(pins, name, address);

	if (pin) {
		/* A shorter TTL does not shorten an earlier pin. */
		pin->until_ns = max_u64(pin->until_ns, until);
		unlink_age(pins, pin);
		link_newest(pins, pin);
		return 0;
	}
	pin = add(pins, name, address);
	if (!pin)
		return -ENOMEM;
	pin->until_ns = until;
	return 0;
}

bool dns_pins_have(const struct dns_pins *pins, const char *name,
		   const uint8_t address[PIN_ADDRESS], uint64_t now_ns)
{
	const struct pin *pin = find(pins, name, address);

	return pin && now_ns < pin->until_ns;
}

unsigned dns_pins_names(const struct dns_pins *pins, const uint8_t address[PIN_ADDRESS],
			uint64_t now_ns, const char *name[PIN_NAMES_MAX])
{
	unsigned count = 0;
	uint32_t at;

	for (at = *bucket_of(pins, address); at != 0; at = pins->pin[at].chain) {
		if (!is_of(&pins->pin[at], address) || now_ns >= pins->pin[at].until_ns)
			continue;
		name[count++] = pins->pin[at].name;
		if (count == PIN_NAMES_MAX)
			break;
	}
	return count;
}

void dns_pins_clear(struct dns_pins *pins)
{
	while (pins->oldest != 0)
		remove_pin(pins, &pins->pin[pins->oldest]);
}
