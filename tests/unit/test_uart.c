/* SPDX-License-Identifier: Apache-2.0 */
/* The 16550A, driven as Linux's 8250 driver does, and the ports that end the machine. */
#include "devices/legacy/uart.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "devices/legacy/power.h"
#include "tests/support/unit.h"

#define DATA 0
#define IER  1
#define IIR  2
#define FCR  2
#define LCR  3
#define MCR  4
#define LSR  5
#define MSR  6
#define SCR  7

static struct uart *uart;
static struct irq_line irq;
static char sent[256];
static size_t sent_length;

static void collect(void *arg, const uint8_t *bytes, size_t length)
{
	ck_assert_ptr_eq(arg, &irq);
	ck_assert_uint_le(sent_length + length, sizeof(sent));
	memcpy(sent + sent_length, bytes, length);
	sent_length += length;
}

static void begin(void)
{
	sent_length = 0;
	ck_assert_int_eq(irq_line_create(&irq, 4), 0);
	ck_assert_int_eq(uart_create(&uart, NULL, &irq, collect, &irq), 0);
}

static void end(void)
{
	uart_destroy(uart);
	irq_line_destroy(&irq);
}

static uint8_t in(uint64_t offset)
{
	return (uint8_t)uart_bus_ops.read(uart, offset, 1);
}

static void out(uint64_t offset, uint8_t value)
{
	uart_bus_ops.write(uart, offset, 1, value);
}

/* Edges since the last call. */
static uint64_t edges(void)
{
	static uint64_t before;
	uint64_t now = irq.raised, count = now - before;

	before = now;
	return count;
}

START_TEST(probe)
{
	begin();
	edges();
	/* As autoconfig() does: interrupt enable, loopback, FIFO, scratch. */
	out(IER, 0);
	ck_assert_uint_eq(in(IER)&0x0f, 0);
	out(IER, 0x0f);
	ck_assert_uint_eq(in(IER)&0x0f, 0x0f);
	out(IER, 0);
	out(MCR, 0x1a);			       /* loopback, OUT2, RTS */
	ck_assert_uint_eq(in(MSR)&0xf0, 0x90); /* DCD, CTS */
	out(MCR, 0);
	out(FCR, 1);
	ck_assert_uint_eq(in(IIR) >> 6, 3); /* 16550A */
	out(FCR, 0);
	ck_assert_uint_eq(in(IIR) >> 6, 0);
	out(SCR, 0xa5);
	ck_assert_uint_eq(in(SCR), 0xa5);
	ck_assert_uint_eq(in(LSR), 0x60);
	end();
}
END_TEST

START_TEST(divisor_latch)
{
	begin();
	out(LCR, 0x83);
	out(DATA, 0x0c);
	out(IER, 0x01);
	ck_assert_uint_eq(in(DATA), 0x0c);
	ck_assert_uint_eq(in(IER), 0x01);
	out(LCR, 0x03);
	ck_assert_uint_eq(in(LCR), 0x03);
	/* The latch was not the interrupt enable register, and nothing was sent. */
	ck_assert_uint_eq(in(IER), 0);
	ck_assert_uint_eq(sent_length, 0);
	out(DATA, 'x');
	ck_assert_uint_eq(sent_length, 1);
	end();
}
END_TEST

START_TEST(sends)
{
	const char *text = "hello\n";

	begin();
	for (; *text; text++) {
		ck_assert_uint_eq(in(LSR)&0x60, 0x60);
		out(DATA, (uint8_t)*text);
	}
	ck_assert_uint_eq(sent_length, 6);
	ck_assert_int_eq(memcmp(sent, "hello\n", 6), 0);
	end();
}
END_TEST

/* The driver's own test at start-up: enabling raises, reading IIR acknowledges, enabling again too.
 */
START_TEST(transmit_interrupt)
{
	begin();
	edges();
	out(IER, 2);
	ck_assert_uint_eq(edges(), 1);
	ck_assert_uint_eq(in(IIR)&0x0f, 2);
	ck_assert_uint_eq(in(IIR)&0x0f, 1);
	out(IER, 0);
	out(IER, 2);
	ck_assert_uint_eq(edges(), 1);
	ck_assert_uint_eq(in(IIR)&0x0f, 2);
	/* Each byte sent leaves the register empty again. */
	out(DATA, 'a');
	ck_assert_uint_eq(edges(), 1);
	ck_assert_uint_eq(in(IIR)&0x0f, 2);
	/* Enabled all along: written again, it is no news. */
	out(IER, 2);
	ck_assert_uint_eq(edges(), 0);
	ck_assert_uint_eq(in(IIR)&0x0f, 1);
	/* Not enabled: nothing. */
	out(IER, 0);
	out(DATA, 'b');
	ck_assert_uint_eq(edges(), 0);
	ck_assert_uint_eq(in(IIR)&0x0f, 1);
	end();
}
END_TEST

START_TEST(receives)
{
	begin();
	out(FCR, 1);
	edges();
	ck_assert_uint_eq(uart_input(uart, (const uint8_t *)"ab", 2), 2);
	ck_assert_uint_eq(edges(), 0); /* not enabled */
	ck_assert_uint_eq(in(LSR), 0x61);
	out(IER, 1);
	ck_assert_uint_eq(edges(), 1);
	/* One edge while the output stays active. */
	ck_assert_uint_eq(uart_input(uart, (const uint8_t *)"c", 1), 1);
	ck_assert_uint_eq(edges(), 0);
	ck_assert_uint_eq(in(IIR), 0xc4);
	ck_assert_uint_eq(in(DATA), 'a');
	ck_assert_uint_eq(in(DATA), 'b');
	ck_assert_uint_eq(in(IIR), 0xc4);
	ck_assert_uint_eq(in(DATA), 'c');
	ck_assert_uint_eq(in(IIR), 0xc1);
	ck_assert_uint_eq(in(LSR), 0x60);
	ck_assert_uint_eq(in(DATA), 0);
	ck_assert_uint_eq(uart_input(uart, (const uint8_t *)"d", 1), 1);
	ck_assert_uint_eq(edges(), 1);
	/* Received data go before the transmitter in IIR, and hide it until they are read. */
	out(IER, 3);
	ck_assert_uint_eq(in(IIR)&0x0f, 4);
	ck_assert_uint_eq(in(DATA), 'd');
	ck_assert_uint_eq(in(IIR)&0x0f, 2);
	end();
}
END_TEST

START_TEST(input_is_bounded)
{
	static uint8_t bytes[UART_INPUT_BYTES + 100];
	size_t i;

	begin();
	for (i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	ck_assert_uint_eq(uart_input_space(uart), UART_INPUT_BYTES);
	ck_assert_uint_eq(uart_input(uart, bytes, sizeof(bytes)), UART_INPUT_BYTES);
	ck_assert_uint_eq(uart_input(uart, bytes, 1), 0);
	ck_assert_uint_eq(uart_input_space(uart), 0);
	/* A full FIFO of ours loses nothing: the rest is only not taken yet. */
	ck_assert_uint_eq(in(LSR)&0x02, 0);
	ck_assert_uint_eq(in(DATA), 0);
	ck_assert_uint_eq(uart_input(uart, bytes + UART_INPUT_BYTES, 100), 1);
	for (i = 1; i <= UART_INPUT_BYTES; i++)
		ck_assert_uint_eq(in(DATA), (uint8_t)i);
	ck_assert_uint_eq(in(LSR), 0x60);
	out(FCR, 1);
	uart_input(uart, bytes, 10);
	out(FCR, 3); /* clear */
	ck_assert_uint_eq(in(LSR), 0x60);
	end();
}
END_TEST

START_TEST(loopback)
{
	size_t i;

	begin();
	out(IER, 4);
	edges();
	out(MCR, 0x10);
	out(DATA, 'z');
	ck_assert_uint_eq(sent_length, 0);
	ck_assert_uint_eq(in(LSR), 0x61);
	ck_assert_uint_eq(in(DATA), 'z');
	/* The line is cut off meanwhile. */
	ck_assert_uint_eq(uart_input(uart, (const uint8_t *)"n", 1), 0);
	ck_assert_uint_eq(uart_input_space(uart), 0);
	/* The chip's FIFO has 16 bytes; one more is an overrun, reported once, with an interrupt.
	 */
	for (i = 0; i < 16; i++)
		out(DATA, 'y');
	ck_assert_uint_eq(edges(), 0);
	out(DATA, 'y');
	ck_assert_uint_eq(edges(), 1);
	ck_assert_uint_eq(in(IIR)&0x0f, 6);
	ck_assert_uint_eq(in(LSR), 0x63);
	ck_assert_uint_eq(in(LSR), 0x61);
	ck_assert_uint_eq(in(IIR)&0x0f, 1);
	end();
}
END_TEST

START_TEST(modem_status)
{
	begin();
	ck_assert_uint_eq(in(MSR), 0xb0);
	out(IER, 8);
	edges();
	out(MCR, 0x10); /* all outputs off, seen as inputs */
	ck_assert_uint_eq(edges(), 1);
	ck_assert_uint_eq(in(IIR)&0x0f, 0);
	ck_assert_uint_eq(in(MSR), 0x0b); /* DCD, DSR and CTS changed */
	ck_assert_uint_eq(in(MSR), 0);
	ck_assert_uint_eq(in(IIR)&0x0f, 1);
	out(MCR, 0x14); /* the ring indicator rises: no news */
	ck_assert_uint_eq(in(MSR), 0x40);
	out(MCR, 0x10); /* and falls: news */
	ck_assert_uint_eq(in(MSR), 0x04);
	end();
}
END_TEST

/* Whatever a guest writes, wherever, at any width: no crash, and reads give a byte. */
START_TEST(random_accesses)
{
	uint32_t state = 7, i;
	struct irq_line silent = {.fd = -1};
	struct uart *any;
	static const unsigned size[] = {1, 2, 4, 8};

	sent_length = 0;
	ck_assert_int_eq(irq_line_create(&irq, 4), 0);
	ck_assert_int_eq(uart_create(&any, NULL, &silent, collect, &irq), 0);
	for (i = 0; i < 100000; i++) {
		state = state * 1664525 + 1013904223;
		sent_length = 0;
		if (state & 0x80000000)
			uart_bus_ops.write(any, state >> 8 & 7, size[state >> 16 & 3], state);
		else
			ck_assert_uint_le(uart_bus_ops.read(any, state >> 8 & 7, 4), 0xff);
		if (i % 64 == 0)
			uart_input(any, (const uint8_t *)"abc", 3);
	}
	uart_destroy(any);
	uart_destroy(NULL);
	irq_line_destroy(&irq);
}
END_TEST

static uint8_t early_in(uint64_t offset)
{
	return (uint8_t)uart_early_bus_ops.read(uart, offset, 1);
}

START_TEST(early_port)
{
	begin();
	/* As Linux's console set-up before the driver: divisor, then characters. */
	uart_early_bus_ops.write(uart, LCR, 1, 0x83);
	uart_early_bus_ops.write(uart, DATA, 1, 1);
	uart_early_bus_ops.write(uart, LCR, 1, 0x03);
	ck_assert_uint_eq(sent_length, 0);
	ck_assert_uint_eq(early_in(LSR) & 0x60, 0x60);
	uart_early_bus_ops.write(uart, DATA, 1, 'p');
	ck_assert_uint_eq(sent_length, 1);
	ck_assert_int_eq(sent[0], 'p');
	/* A probe finds no chip: IER does not keep what is written. */
	uart_early_bus_ops.write(uart, IER, 1, 0);
	ck_assert_uint_ne(early_in(IER) & 0x0f, 0);
	/* The real chip is untouched by all this. */
	ck_assert_uint_eq(in(LCR), 0);
	ck_assert_uint_eq(in(IER), 0);
	end();
}
END_TEST

static unsigned resets, power_offs;

static void on_reset(void *arg)
{
	ck_assert_ptr_eq(arg, &irq);
	resets++;
}

static void on_power_off(void *arg)
{
	ck_assert_ptr_eq(arg, &irq);
	power_offs++;
}

START_TEST(power_ports)
{
	struct power power;

	resets = power_offs = 0;
	power_init(&power, on_reset, on_power_off, &irq);
	/* Linux waits until the controller takes a command. */
	ck_assert_uint_eq(power_i8042_bus_ops.read(&power, 0, 1), 0);
	power_i8042_bus_ops.write(&power, 0, 1, 0xd1);
	ck_assert_uint_eq(resets, 0);
	power_i8042_bus_ops.write(&power, 0, 1, 0xfe);
	ck_assert_uint_eq(resets, 1);

	ck_assert_uint_eq(power_off_bus_ops.read(&power, 0, 2), 0);
	power_off_bus_ops.write(&power, 0, 2, 0x2001);
	power_off_bus_ops.write(&power, 0, 1, 0x2000);
	power_off_bus_ops.write(&power, 1, 1, 0x20);
	ck_assert_uint_eq(power_offs, 0);
	power_off_bus_ops.write(&power, 0, 2, 0x2000);
	ck_assert_uint_eq(power_offs, 1);
	ck_assert_uint_eq(resets, 1);
}
END_TEST

UNIT_MAIN("uart", probe, divisor_latch, sends, transmit_interrupt, receives, input_is_bounded,
	  loopback, modem_status, random_accesses, early_port, power_ports)
