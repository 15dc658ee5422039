/* SPDX-License-Identifier: Apache-2.0 */
/* The features program: what features.c takes from features_closed.c. */
#ifndef CORDON_TESTS_INTEGRATION_PROGRAMS_FEATURES_H
#define CORDON_TESTS_INTEGRATION_PROGRAMS_FEATURES_H

extern int console;

/* Each returns 0, or an errno value (EPROTO: the console names what should be missing). */
int closed(void);
int closed_files(void);

#endif
