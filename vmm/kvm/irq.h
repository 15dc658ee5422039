/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device's interrupt line: an eventfd that KVM turns into an edge on an IO-APIC pin (irqfd).
 * Without KVM (tests) the eventfd just counts.
 */
#ifndef CORDON_KVM_IRQ_H
#define CORDON_KVM_IRQ_H

#include <stdint.h>

struct irq_line {
	int fd;		 /* eventfd; -1: interrupts are discarded */
	uint32_t pin;	 /* IO-APIC input, global system interrupt number */
	uint64_t raised; /* edges raised, for statistics */
};

/* Creates the eventfd. 0 or -errno. */
int irq_line_create(struct irq_line *line, uint32_t pin);
void irq_line_destroy(struct irq_line *line);

/* Raises an edge. Never blocks. From any thread. */
void irq_line_raise(struct irq_line *line);

#endif
