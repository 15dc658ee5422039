/* SPDX-License-Identifier: Apache-2.0 */
#include "devices/legacy/uart.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "vmm/base/ring.h"

/* Register offsets; 0 and 1 are the divisor latch while LCR_DLAB is set. */
enum {
	REG_DATA = 0, /* receive buffer, transmit holding register */
	REG_IER = 1,
	REG_IIR = 2, /* read */
	REG_FCR = 2, /* write */
	REG_LCR = 3,
	REG_MCR = 4,
	REG_LSR = 5,
	REG_MSR = 6,
	REG_SCR = 7,
};

#define IER_RECEIVED 0x01
#define IER_TRANSMIT 0x02
#define IER_LINE     0x04
#define IER_MODEM    0x08
#define IER_MASK     0x0f

#define IIR_NONE     0x01
#define IIR_MODEM    0x00
#define IIR_TRANSMIT 0x02
#define IIR_RECEIVED 0x04
#define IIR_LINE     0x06
#define IIR_FIFOS    0xc0 /* both FIFOs are on */

#define FCR_ENABLE     0x01
#define FCR_CLEAR_RECV 0x02

#define LCR_DLAB 0x80

#define MCR_DTR	 0x01
#define MCR_RTS	 0x02
#define MCR_OUT1 0x04
#define MCR_OUT2 0x08
#define MCR_LOOP 0x10
#define MCR_MASK 0x1f

#define LSR_DATA    0x01
#define LSR_OVERRUN 0x02
#define LSR_THR	    0x20 /* transmit holding register empty */
#define LSR_IDLE    0x40 /* transmitter empty */
#define LSR_READY   (LSR_THR | LSR_IDLE)

#define MSR_CTS 0x10
#define MSR_DSR 0x20
#define MSR_RI	0x40
#define MSR_DCD 0x80
/* The low four bits tell which of the high four have changed since the last read (RI: fell). */
#define MSR_DELTA_RI 0x04

#define LOOPBACK_BYTES 16 /* the receive FIFO of the chip */

struct uart {
	struct loop *loop;
	struct irq_line *irq;
	void (*output)(void *arg, const uint8_t *bytes, size_t length);
	void *arg;
	struct ring input;
	uint8_t ier, fcr, lcr, mcr, msr, scr, divisor[2];
	bool thr_pending;  /* a transmit interrupt is due: the register became empty */
	bool overrun;	   /* until LSR is read */
	bool line_active;  /* the last state of the interrupt output */
	uint8_t early_lcr; /* the line control register of the early port */
};

/* The pending and enabled interrupt with the highest priority. */
static uint8_t interrupt_id(const struct uart *uart)
{
	if ((uart->ier & IER_LINE) && uart->overrun)
		return IIR_LINE;
	if ((uart->ier & IER_RECEIVED) && ring_used(&uart->input) > 0)
		return IIR_RECEIVED;
	if ((uart->ier & IER_TRANSMIT) && uart->thr_pending)
		return IIR_TRANSMIT;
	if ((uart->ier & IER_MODEM) && (uart->msr & 0x0f) != 0)
		return IIR_MODEM;
	return IIR_NONE;
}

/* Call after any change to an interrupt cause: raises an edge if the output rises. */
static void update_interrupt(struct uart *uart)
{
	bool active = interrupt_id(uart) != IIR_NONE;

	if (active && !uart->line_active)
		irq_line_raise(uart->irq);
	uart->line_active = active;
}

/* The current modem inputs: all asserted, or the modem outputs in loopback mode. */
static uint8_t modem_inputs(const struct uart *uart)
{
	uint8_t inputs = 0;

	if (!(uart->mcr & MCR_LOOP))
		return MSR_CTS | MSR_DSR | MSR_DCD;
	if (uart->mcr & MCR_RTS)
		inputs |= MSR_CTS;
	if (uart->mcr & MCR_DTR)
		inputs |= MSR_DSR;
	if (uart->mcr & MCR_OUT1)
		inputs |= MSR_RI;
	if (uart->mcr & MCR_OUT2)
		inputs |= MSR_DCD;
	return inputs;
}

static void write_mcr(struct uart *uart, uint8_t value)
{
	uint8_t before = uart->msr & 0xf0, after, changed;

	uart->mcr = value & MCR_MASK;
	after = modem_inputs(uart);
	changed = (before ^ after) >> 4;
	/* The ring indicator reports its end only. */
	if (after & MSR_RI)
		changed &= (uint8_t)~MSR_DELTA_RI;
	uart->msr = after | (uart->msr & 0x0f) | changed;
}

static void transmit(struct uart *uart, uint8_t byte)
{
	if (uart->mcr & MCR_LOOP) {
		if (ring_used(&uart->input) >= LOOPBACK_BYTES ||
		    ring_write(&uart->input, &byte, 1) != 1)
			uart->overrun = true;
	} else {
		uart->output(uart->arg, &byte, 1);
	}
	/* The byte has left, so the register is empty again: one more transmit interrupt. */
	uart->thr_pending = true;
}

static void write_ier(struct uart *uart, uint8_t value)
{
	/* Enabling the transmit interrupt while the register is empty raises it. */
	if ((value & IER_TRANSMIT) && !(uart->ier & IER_TRANSMIT))
		uart->thr_pending = true;
	uart->ier = value & IER_MASK;
}

static void write_fcr(struct uart *uart, uint8_t value)
{
	/* Turning the FIFOs on or off clears them, with bytes that a user has typed. */
	if ((value & FCR_CLEAR_RECV) || ((value ^ uart->fcr) & FCR_ENABLE))
		ring_clear(&uart->input);
	uart->fcr = value & FCR_ENABLE;
}

static void uart_write(void *device, uint64_t offset, unsigned size, uint64_t wide)
{
	struct uart *uart = device;
	uint8_t value = (uint8_t)wide;

	(void)size;
	if ((uart->lcr & LCR_DLAB) && offset <= 1) {
		uart->divisor[offset] = value;
		return;
	}
	switch (offset) {
	case REG_DATA:
		transmit(uart, value);
		break;
	case REG_IER:
		write_ier(uart, value);
		break;
	case REG_FCR:
		write_fcr(uart, value);
		break;
	case REG_LCR:
		uart->lcr = value;
		break;
	case REG_MCR:
		write_mcr(uart, value);
		break;
	case REG_SCR:
		uart->scr = value;
		break;
	default: /* LSR and MSR are read only */
		break;
	}
	update_interrupt(uart);
}

static uint8_t read_data(struct uart *uart)
{
	uint8_t byte = 0;

	ring_read(&uart->input, &byte, 1);
	ring_release_if_empty(&uart->input);
	return byte;
}

static uint8_t read_iir(struct uart *uart)
{
	uint8_t id = interrupt_id(uart);

	/* Reading IIR acknowledges a transmit interrupt, if it reports one. */
	if (id == IIR_TRANSMIT)
		uart->thr_pending = false;
	return id | ((uart->fcr & FCR_ENABLE) ? IIR_FIFOS : 0);
}

static uint8_t read_lsr(struct uart *uart)
{
	uint8_t status = LSR_READY;

	if (ring_used(&uart->input) > 0)
		status |= LSR_DATA;
	if (uart->overrun)
		status |= LSR_OVERRUN;
	uart->overrun = false;
	return status;
}

static uint8_t read_register(struct uart *uart, uint64_t offset)
{
	uint8_t value;

	if ((uart->lcr & LCR_DLAB) && offset <= 1)
		return uart->divisor[offset];
	switch (offset) {
	case REG_DATA:
		return read_data(uart);
	case REG_IER:
		return uart->ier;
	case REG_IIR:
		return read_iir(uart);
	case REG_LCR:
		return uart->lcr;
	case REG_MCR:
		return uart->mcr;
	case REG_LSR:
		return read_lsr(uart);
	case REG_MSR:
		value = uart->msr;
		uart->msr &= 0xf0;
		return value;
	case REG_SCR:
		return uart->scr;
	default:
		return 0xff;
	}
}

static uint64_t uart_read(void *device, uint64_t offset, unsigned size)
{
	struct uart *uart = device;
	uint8_t value = read_register(uart, offset);

	(void)size;
	update_interrupt(uart);
	return value;
}

/* Reads as ones, as a port without a chip does, except for the line status: ready to send. */
static uint64_t early_read(void *device, uint64_t offset, unsigned size)
{
	(void)device;
	(void)size;
	return offset == REG_LSR ? LSR_READY : 0xff;
}

static void early_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
	struct uart *uart = device;
	uint8_t byte = (uint8_t)value;

	(void)size;
	if (offset == REG_LCR)
		uart->early_lcr = byte;
	else if (offset == REG_DATA && !(uart->early_lcr & LCR_DLAB))
		uart->output(uart->arg, &byte, 1);
}

const struct bus_ops uart_bus_ops = {.read = uart_read, .write = uart_write};
const struct bus_ops uart_early_bus_ops = {.read = early_read, .write = early_write};

int uart_create(struct uart **out, struct loop *loop, struct irq_line *irq,
		void (*output)(void *arg, const uint8_t *bytes, size_t length), void *arg)
{
	struct uart *uart = calloc(1, sizeof(*uart));

	if (!uart)
		return -ENOMEM;
	uart->loop = loop;
	uart->irq = irq;
	uart->output = output;
	uart->arg = arg;
	uart->msr = modem_inputs(uart);
	ring_init(&uart->input, UART_INPUT_BYTES);
	*out = uart;
	return 0;
}

void uart_destroy(struct uart *uart)
{
	if (!uart)
		return;
	ring_destroy(&uart->input);
	free(uart);
}

size_t uart_input(struct uart *uart, const uint8_t *bytes, size_t length)
{
	size_t taken;

	/* In loopback the receiver is cut off from the line. */
	if (uart->mcr & MCR_LOOP)
		return 0;
	taken = ring_write(&uart->input, bytes, length);
	update_interrupt(uart);
	return taken;
}

size_t uart_input_space(const struct uart *uart)
{
	return uart->mcr & MCR_LOOP ? 0 : ring_space(&uart->input);
}

void uart_save(const struct uart *uart, struct pack *pack)
{
	struct ring copy = uart->input;
	uint8_t waiting[UART_INPUT_BYTES];
	size_t used = ring_read(&copy, waiting, sizeof(waiting));

	pack_u8(pack, uart->ier);
	pack_u8(pack, uart->fcr);
	pack_u8(pack, uart->lcr);
	pack_u8(pack, uart->mcr);
	pack_u8(pack, uart->msr);
	pack_u8(pack, uart->scr);
	pack_bytes(pack, uart->divisor, sizeof(uart->divisor));
	pack_u8(pack, uart->thr_pending);
	pack_u8(pack, uart->overrun);
	pack_u8(pack, uart->line_active);
	pack_u8(pack, uart->early_lcr);
	pack_u32(pack, (uint32_t)used);
	pack_bytes(pack, waiting, used);
}

int uart_restore(struct uart *uart, struct unpack *unpack)
{
	uint8_t waiting[UART_INPUT_BYTES];
	uint32_t used;

	uart->ier = unpack_u8(unpack) & IER_MASK;
	uart->fcr = unpack_u8(unpack) & FCR_ENABLE;
	uart->lcr = unpack_u8(unpack);
	uart->mcr = unpack_u8(unpack) & MCR_MASK;
	uart->msr = unpack_u8(unpack);
	uart->scr = unpack_u8(unpack);
	unpack_bytes(unpack, uart->divisor, sizeof(uart->divisor));
	uart->thr_pending = unpack_u8(unpack) != 0;
	uart->overrun = unpack_u8(unpack) != 0;
	uart->line_active = unpack_u8(unpack) != 0;
	uart->early_lcr = unpack_u8(unpack);
	used = unpack_count(unpack, UART_INPUT_BYTES);
	unpack_bytes(unpack, waiting, used);
	if (unpack->failed)
		return -EINVAL;
	ring_clear(&uart->input);
	ring_write(&uart->input, waiting, used);
	return 0;
}
