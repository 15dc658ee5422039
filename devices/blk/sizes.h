/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes that disks, their layers and their files share. */
#ifndef CORDON_BLK_SIZES_H
#define CORDON_BLK_SIZES_H

#include <stdint.h>

#define DISK_SECTOR    512u
#define DISK_BLOCK     4096u
#define DISK_BYTES_MAX (UINT64_C(1) << 42) /* 4 TiB: the map of written blocks is then 128 MiB */
#define DISK_STEP      (256u << 10)	   /* bytes that a call moves at most */
#define DISK_PUNCH     (4u << 20)	   /* bytes that a call gives back to the host at most */
#define DISK_CALLS     3		   /* system calls of a call at most */

#endif
