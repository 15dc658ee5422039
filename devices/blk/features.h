/* SPDX-License-Identifier: Apache-2.0 */
/* The block device's feature bits (virtio 1.2, section 5.2.3). */
#ifndef CORDON_BLK_FEATURES_H
#define CORDON_BLK_FEATURES_H

#include <stdint.h>

#define BLK_F_SIZE_MAX	   1
#define BLK_F_SEG_MAX	   2
#define BLK_F_RO	   5
#define BLK_F_BLK_SIZE	   6
#define BLK_F_FLUSH	   9
#define BLK_F_TOPOLOGY	   10
#define BLK_F_MQ	   12
#define BLK_F_DISCARD	   13
#define BLK_F_WRITE_ZEROES 14

#define BLK_FEATURE(bit) (UINT64_C(1) << (bit))

#endif
