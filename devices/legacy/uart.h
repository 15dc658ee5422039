/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A 16550A serial port, to the extent that Linux's 8250 driver uses it (National Semiconductor
 * PC16550D).
 *
 * The transmitter is always ready: a written byte goes to the output callback at once. Received
 * bytes wait in a bounded FIFO until the guest reads them. The baud rate has no effect. Interrupts
 * are edges: one for each transition of the chip's interrupt output from inactive to active.
 *
 * All calls run with the device lock held.
 */
#ifndef CORDON_LEGACY_UART_H
#define CORDON_LEGACY_UART_H

#include <stddef.h>
#include <stdint.h>

#include "vmm/base/loop.h"
#include "vmm/base/pack.h"
#include "vmm/kvm/bus.h"
#include "vmm/kvm/irq.h"

#define UART_PORTS	 8    /* registers, one byte apart */
#define UART_INPUT_BYTES 4096 /* the most received bytes that wait for the guest */

struct uart;

/* The port, offsets 0 to 7. A wider access has the addressed register in its low byte. */
extern const struct bus_ops uart_bus_ops;

/*
 * Just a transmitter, at the traditional I/O port, until the guest has a driver for the real port:
 * it reports ready and sends written bytes, but a driver that probes it finds no UART.
 */
extern const struct bus_ops uart_early_bus_ops;

/*
 * output gets every byte that the guest sends; it must not block or call back into the UART. irq
 * must outlive the UART. The loop is kept for later use and may be NULL. 0 or -ENOMEM.
 */
int uart_create(struct uart **out, struct loop *loop, struct irq_line *irq,
		void (*output)(void *arg, const uint8_t *bytes, size_t length), void *arg);
void uart_destroy(struct uart *uart);

/* Queues bytes for the guest. Returns how many fitted. */
size_t uart_input(struct uart *uart, const uint8_t *bytes, size_t length);

/* For snapshots: the registers and the waiting bytes. restore: 0 or -EINVAL. */
void uart_save(const struct uart *uart, struct pack *pack);
int uart_restore(struct uart *uart, struct unpack *unpack);

/* How many bytes uart_input() would take. */
size_t uart_input_space(const struct uart *uart);

#endif
