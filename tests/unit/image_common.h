/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of image share. */
#ifndef CORDON_TEST_IMAGE_COMMON_H
#define CORDON_TEST_IMAGE_COMMON_H

#include "vmm/image/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/forged_image.h"
#include "tests/support/image_tree.h"
#include "tests/support/unit.h"
#include "vmm/base/fd.h"
#include "vmm/image/layer.h"
#include "vmm/image/tar.h"

#define ENTRIES(...) ((const struct forged_entry[]){__VA_ARGS__, {.type = 0}})

extern struct forged_image image;
extern struct forged_layer layer;
extern struct image_counts counts;
extern uint64_t left_out; /* of the tree */
extern struct err why;

void add(const struct forged_entry *entries, enum compression kind);
int unpack_with(const struct image_limits *limits);
int unpack(void);

/* One layer over an honest one, from nothing. */
int unpack_only(const struct forged_entry *entries);

#endif
