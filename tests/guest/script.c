/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/guest/code.h"
#include "tests/guest/hostile.h"

#define COMMAND_BYTES 32
#define COMMAND_MOST  ((HOSTILE_MEMORY - HOSTILE_COMMANDS) / COMMAND_BYTES)
#define EXPECT_MOST   20000

/* Polls of a wait, each an exit: far longer than any device takes, but bounded. */
#define WAIT_LOOKS 300000

static uint8_t *command_at(struct hostile *h, uint64_t number)
{
	return guest_memory_at(&h->memory, HOSTILE_COMMANDS + number * COMMAND_BYTES,
			       COMMAND_BYTES);
}

static uint64_t add(struct hostile *h, const uint8_t *handler, uint64_t address, uint64_t value,
		    uint64_t result)
{
	uint8_t *command;

	if (h->commands >= COMMAND_MOST) {
		fprintf(stderr, "the script of %s is too long\n", h->test->name);
		abort();
	}
	command = command_at(h, h->commands);
	store_le64(command, HOSTILE_CODE + (uint64_t)(handler - hostile_code));
	store_le64(command + 8, address);
	store_le64(command + 16, value);
	store_le64(command + 24, result);
	return h->commands++;
}

uint64_t script_read(struct hostile *h, unsigned size, uint64_t address)
{
	const uint8_t *handler = size == 1   ? hostile_read8
				 : size == 2 ? hostile_read16
				 : size == 4 ? hostile_read32
					     : hostile_read64;

	return add(h, handler, address, 0, 0);
}

uint64_t script_write(struct hostile *h, unsigned size, uint64_t address, uint64_t value)
{
	const uint8_t *handler = size == 1   ? hostile_write8
				 : size == 2 ? hostile_write16
				 : size == 4 ? hostile_write32
					     : hostile_write64;

	return add(h, handler, address, value, 0);
}

uint64_t script_in(struct hostile *h, unsigned size, uint16_t port)
{
	return add(h,
		   size == 1   ? hostile_in8
		   : size == 2 ? hostile_in16
			       : hostile_in32,
		   port, 0, 0);
}

uint64_t script_out(struct hostile *h, unsigned size, uint16_t port, uint32_t value)
{
	return add(h,
		   size == 1   ? hostile_out8
		   : size == 2 ? hostile_out16
			       : hostile_out32,
		   port, value, 0);
}

uint64_t script_out_string(struct hostile *h, uint16_t port, uint64_t from, uint64_t count)
{
	return add(h, hostile_out_string, port, count, from);
}

uint64_t script_wait_briefly(struct hostile *h, uint64_t address, uint16_t value, uint64_t looks)
{
	return add(h, hostile_wait, address, value, looks);
}

uint64_t script_wait(struct hostile *h, uint64_t address, uint16_t value)
{
	return script_wait_briefly(h, address, value, WAIT_LOOKS);
}

uint64_t script_wait32(struct hostile *h, uint64_t address, uint32_t value)
{
	return add(h, hostile_wait32, address, value, WAIT_LOOKS);
}

uint64_t script_copy_add(struct hostile *h, uint64_t from, uint16_t plus, uint64_t to)
{
	return add(h, hostile_copy_add, from, plus, to);
}

uint64_t script_repeat(struct hostile *h, uint64_t command, uint64_t times)
{
	return add(h, hostile_repeat, HOSTILE_COMMANDS + command * COMMAND_BYTES, times, times);
}

uint64_t script_jump(struct hostile *h, uint64_t address)
{
	return add(h, hostile_jump, address, 0, 0);
}

uint64_t script_load_cr3(struct hostile *h, uint64_t value)
{
	return add(h, hostile_cr3, value, 0, 0);
}

void script_finish(struct hostile *h)
{
	add(h, hostile_end, 0, 0, 0);
}

uint64_t script_result(struct hostile *h, uint64_t command)
{
	return load_le64(command_at(h, command) + 24);
}

static void expect(struct hostile *h, struct expectation expectation)
{
	if (!h->expect)
		h->expect = calloc(EXPECT_MOST, sizeof(*h->expect));
	if (!h->expect || h->expected >= EXPECT_MOST)
		abort();
	h->expect[h->expected++] = expectation;
}

void script_expect(struct hostile *h, uint64_t command, uint64_t value, const char *what)
{
	expect(h, (struct expectation){.command = command, .value = value, .what = what});
}

void script_expect_done(struct hostile *h, uint64_t command, const char *what)
{
	expect(h, (struct expectation){.command = command, .done = true, .what = what});
}

void script_flip(struct hostile *h, uint16_t address, uint16_t value)
{
	uint8_t *pair = guest_memory_at(&h->memory, HOSTILE_FLIPS + 4 * h->flips, 8);

	store_le16(pair, address);
	store_le16(pair + 2, value);
	store_le32(pair + 4, 0);
	h->flips++;
}
