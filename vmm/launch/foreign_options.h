/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of `docker run` and its like that have no counterpart, with the way that leads where
 * their users want to go.
 */
#ifndef CORDON_LAUNCH_FOREIGN_OPTIONS_H
#define CORDON_LAUNCH_FOREIGN_OPTIONS_H

/*
 * What to do instead of an option as it was given ("--label=a", "-P") to a verb; NULL: nothing is
 * known, or the verb runs no commands.
 */
const char *foreign_option(const char *verb, const char *argument);

#endif
