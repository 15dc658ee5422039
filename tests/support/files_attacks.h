/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attacks on the file server: a host that exchanges a directory for a link that leads out of the
 * share, and other spellings of a denied path.
 */
#ifndef CORDON_TEST_FILES_ATTACKS_H
#define CORDON_TEST_FILES_ATTACKS_H

#include "tests/support/files_host.h"

/*
 * From begin to end a thread exchanges the directory "d", with a file "secret" that says "inside",
 * and a link to "..", where "secret" says "outside".
 */
void files_exchange_begin(const struct files_host *host);
void files_exchange_end(void);
/* The two only: the link is called "decoy". */
void files_exchange_place(const struct files_host *host);

/* What many would write: look that it is a directory, then open what is in it. True: it loses. */
bool files_exchange_control_loses(const struct files_host *host);

/* Whether the file outside is as it was, and nothing is called "made-0" to "made-7" there. */
bool files_outside_is_untouched(const struct files_host *host);

/* Calls try() with a few hundred paths that some code takes for this one. */
void files_spellings(const char *path, void (*try)(const char *path));

/* Where a link may lead so that another one is read; the last is NULL. */
extern const char *const files_link_targets[];

/* Five directories' places under rules about one of them, for two sessions that move them. */
struct files_place {
	const char *directory, *name;
};
#define FILES_PLACES 5
extern const struct files_place files_places[FILES_PLACES];
void files_places_make(const struct files_host *host);
/* Whether the protected file is as it was and where it was, and nothing was put beside it. */
bool files_places_are_whole(const struct files_host *host);

#endif
