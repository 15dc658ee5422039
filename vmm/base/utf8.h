/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 decoding (RFC 3629). */
#ifndef CORDON_BASE_UTF8_H
#define CORDON_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The length in bytes of the character at text, of which left (1 or more) bytes are there; 0: not
 * UTF-8, or incomplete. */
size_t utf8_length(const char *text, size_t left);

/* The code point of a character whose length utf8_length() has returned. */
uint32_t utf8_value(const char *text, size_t length);

/* Whether the left bytes are the beginning of a character and nothing more. */
bool utf8_is_partial(const char *text, size_t left);

#endif
