/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The revision of the source that this program was built from, for `cordon version`.
 *
 * It changes with each commit, so it stands in one small object that only the program links:
 * neither the library nor the tests are built anew, and what depends on the version (snapshots, the
 * agent's greeting, the audit log) does not change with it.
 */
#ifndef CORDON_REVISION_H
#define CORDON_REVISION_H

extern const char cordon_revision[];

#endif
