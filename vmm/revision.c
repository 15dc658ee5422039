/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/revision.h"

#include <revision.inc> /* generated from scripts/revision.sh */

const char cordon_revision[] = CORDON_REVISION;
