/* SPDX-License-Identifier: Apache-2.0 */
/* What the monitor gives up: vmm/jail/stages.h. */
#include "vmm/base/log.h"
#include "vmm/control/monitor.h"
#include "vmm/jail/stages.h"

void monitor_confine(void)
{
	struct err why = {.text = ""};

	if (jail_enter_first(&why) < 0)
		log_warning("the monitor is not confined: %s", why.text);
}
