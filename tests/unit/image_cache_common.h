/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the image cache share: a cache of the test's own, and one image for it. */
#ifndef CORDON_TEST_IMAGE_CACHE_COMMON_H
#define CORDON_TEST_IMAGE_CACHE_COMMON_H

#include "vmm/image/cache.h"

#include <stdbool.h>

#include "tests/support/forged_image.h"
#include "tests/support/unit.h"

extern struct forged_image image;
extern char source[128], cache[160];
extern struct digest id;
extern struct err err;

/* Makes an empty cache, and the image's layout at `source`: d/x with these contents. */
void begin(const char *contents);

/* The number of names in the cache's directory with this prefix. */
unsigned count(const char *prefix);

/* Whether the name leads to the image. */
bool named(const char *name);

/* The path of a file of the image in the cache. */
void in_image(char path[300], const char *name);

#endif
