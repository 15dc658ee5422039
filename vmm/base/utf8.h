/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8, as RFC 3629 has it. */
#ifndef CORDON_BASE_UTF8_H
#define CORDON_BASE_UTF8_H

#include <stddef.h>

/* The length of the character at text, of which left bytes (1 and more) are there; 0: it is none.
 */
size_t utf8_length(const char *text, size_t left);

#endif
