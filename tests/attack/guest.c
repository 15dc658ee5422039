/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that attacks its monitor through a broken device (broken.h), with no kernel below: each
 * attack is a few system calls that the monitor makes for it. The command line says which:
 *
 *   attack=NAME [attack-in-loop] [path=TEXT] [other=TEXT] [number=N]
 *
 * `attack-in-loop`: in the event loop's thread instead of the vCPU's. It prints `attack NAME:
 * RESULT`, where a negative result is -errno, on the early serial port, and powers off. An attack
 * without a result ended the monitor.
 */
#include "tests/attack/guest.h"

#define BROKEN_GUEST
#include "tests/attack/broken.h"

#define PORT_UART  0x3f8
#define PORT_POWER 0x604

char path[512], other[512];
long number;
static int in_loop;

/* --- the machine ------------------------------------------------------------------------------ */

static void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static void out16(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static void set(unsigned reg, uint64_t value)
{
	*(volatile uint64_t *)(uintptr_t)(BROKEN_BASE + reg) = value;
}

static uint64_t get(unsigned reg)
{
	return *(volatile uint64_t *)(uintptr_t)(BROKEN_BASE + reg);
}

static void print(const char *text)
{
	for (; *text; text++)
		out8(PORT_UART, (uint8_t)*text);
}

static void print_number(long value)
{
	char text[24];
	unsigned at = sizeof(text) - 1;
	unsigned long rest = value < 0 ? -(unsigned long)value : (unsigned long)value;

	text[at] = '\0';
	do {
		text[--at] = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest > 0);
	if (value < 0)
		text[--at] = '-';
	print(text + at);
}

/* --- calls of the monitor --------------------------------------------------------------------- */

long call(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
	const uint64_t word[7] = {(uint64_t)nr, a, b, c, d, e, f};
	unsigned i;

	for (i = 0; i < 7; i++)
		set(BROKEN_NUMBER + 8 * i, word[i]);
	set(BROKEN_GO, (uint64_t)in_loop);
	while (get(BROKEN_DONE) == 0)
		__asm__ volatile("pause");
	return (long)get(BROKEN_RESULT);
}

uint64_t at(const void *of_guest)
{
	set(BROKEN_WHERE, (uint64_t)(uintptr_t)of_guest);
	return get(BROKEN_WHERE);
}

uint8_t room[4096] __attribute__((aligned(4096)));
uint64_t words[8];

#define ATTACK(name) {#name, attack_##name},

static const struct {
	const char *name;
	long (*run)(void);
} attacks[] = {ATTACKS(ATTACK)};

/* --- the command line ------------------------------------------------------------------------- */

/* The word's rest, if it begins so. */
static const char *after(const char *word, const char *start)
{
	while (*start && *word == *start) {
		word++;
		start++;
	}
	return *start ? NULL : word;
}

static void copy_word(char *to, size_t size, const char *word)
{
	size_t i;

	for (i = 0; i + 1 < size && word[i] && word[i] != ' '; i++)
		to[i] = word[i];
	to[i] = '\0';
}

static void run(const char *name)
{
	unsigned i;
	const char *rest;

	for (i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
		rest = after(name, attacks[i].name);
		if (!rest || *rest)
			continue;
		print("attack ");
		print(name);
		print(": ");
		print_number(attacks[i].run());
		print("\n");
		return;
	}
	print("no such attack\n");
}

void start(const uint8_t *boot_params);
void start(const uint8_t *boot_params)
{
	const char *word =
		(const char *)(uintptr_t) * (const uint32_t *)(const void *)(boot_params + 0x228);
	static char name[64];
	const char *value;

	while (*word) {
		value = after(word, "attack=");
		if (value)
			copy_word(name, sizeof(name), value);
		value = after(word, "path=");
		if (value)
			copy_word(path, sizeof(path), value);
		value = after(word, "other=");
		if (value)
			copy_word(other, sizeof(other), value);
		if (after(word, "attack-in-loop"))
			in_loop = 1;
		value = after(word, "number=");
		for (; value && *value >= '0' && *value <= '9'; value++)
			number = 10 * number + (*value - '0');
		while (*word && *word != ' ')
			word++;
		while (*word == ' ')
			word++;
	}
	run(name);
	for (;;)
		out16(PORT_POWER, 0x2000);
}

/* Linux's 64-bit boot protocol: the boot parameters are in rsi; there is no stack yet. */
uint8_t stack[16384] __attribute__((aligned(16)));
__asm__(".pushsection .text.entry, \"ax\"\n"
	".globl entry\n"
	"entry:\n"
	"	leaq stack+16384(%rip), %rsp\n"
	"	movq %rsi, %rdi\n"
	"	call start\n"
	".popsection\n");
