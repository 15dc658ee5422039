/* SPDX-License-Identifier: Apache-2.0 */
/* Pages about sandboxes that are refreshed in place on a terminal: `cordon top` and `stats`. */
#ifndef CORDON_CLI_LIVE_H
#define CORDON_CLI_LIVE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "vmm/base/err.h"
#include "vmm/cli/terminal.h"
#include "vmm/cli/top_page.h"
#include "vmm/cli/top_view.h"

#define LIVE_INTERVAL_NS 1000000000ull

struct live {
	struct top_view view; /* with its name, and `counters` */
	/* As top_page(). */
	char *(*page)(const json_t *data, struct top_size size);
	bool once; /* one page, also on a terminal */
	bool json; /* a line of JSON in place of each page */
	uint64_t interval_ns;
	/* private */
	bool on_screen;
	struct terminal terminal;
	int signal_fd;
	json_t *shown;
	int ended_by; /* a signal, or 0 */
};

/*
 * Shows pages until the user, a signal or the sandbox ends it; one page without a terminal that is
 * a screen. verb: for messages. Returns the exit status, or -errno with a message.
 */
int live_run(struct live *live, const char *verb, struct err *err);

#endif
