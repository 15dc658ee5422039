/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/kvm/irq.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "vmm/base/fd.h"

int irq_line_create(struct irq_line *line, uint32_t pin)
{
	*line = (struct irq_line){.fd = -1, .pin = pin};
	line->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return line->fd < 0 ? -errno : 0;
}

void irq_line_destroy(struct irq_line *line)
{
	fd_close(&line->fd);
}

void irq_line_raise(struct irq_line *line)
{
	__atomic_fetch_add(&line->raised, 1, __ATOMIC_RELAXED);
	if (line->fd >= 0)
		fd_notify(line->fd);
}
