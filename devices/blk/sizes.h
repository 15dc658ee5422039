/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes that disks, their layers and their files share. */
#ifndef CORDON_BLK_SIZES_H
#define CORDON_BLK_SIZES_H

#include <stdint.h>

#define DISK_SECTOR    512u
#define DISK_BLOCK     4096u
#define DISK_BYTES_MAX (UINT64_C(1) << 42) /* 4 TiB: the map of written blocks is then 128 MiB */
#define DISK_STEP      (256u << 10)	   /* the most bytes that one call moves */
#define DISK_PUNCH     (4u << 20)	   /* the most bytes that one call deallocates */
#define DISK_CALLS     3		   /* the most system calls of one call */

#endif
