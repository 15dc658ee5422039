/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8, as RFC 3629 has it. */
#ifndef CORDON_BASE_UTF8_H
#define CORDON_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The length of the character at text, of which left bytes (1 and more) are there; 0: it is none.
 */
size_t utf8_length(const char *text, size_t left);

/* The value of a character whose length utf8_length() has told. */
uint32_t utf8_value(const char *text, size_t length);

/* Whether all that is left is the begin of a character whose rest is not there. */
bool utf8_is_begun(const char *text, size_t left);

#endif
