/* SPDX-License-Identifier: Apache-2.0 */
/*
 * 9P2000.L as the guest's kernel speaks it: message types, field values, and a writer for replies.
 * A message is size32 type8 tag16 and a body; size counts all of it. Numbers are little-endian, a
 * string is length16 and bytes, a qid is type8 version32 path64. The handlers' comments describe
 * the bodies.
 */
#ifndef CORDON_FILES_WIRE_H
#define CORDON_FILES_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Requests; the reply to T is T + 1, or P9_RLERROR with an errno value (32 bits). */
enum p9_type {
	P9_RLERROR = 7,
	P9_TSTATFS = 8,
	P9_TLOPEN = 12,
	P9_TLCREATE = 14,
	P9_TSYMLINK = 16,
	P9_TMKNOD = 18,
	P9_TRENAME = 20,
	P9_TREADLINK = 22,
	P9_TGETATTR = 24,
	P9_TSETATTR = 26,
	P9_TXATTRWALK = 30,
	P9_TXATTRCREATE = 32,
	P9_TREADDIR = 40,
	P9_TFSYNC = 50,
	P9_TLOCK = 52,
	P9_TGETLOCK = 54,
	P9_TLINK = 70,
	P9_TMKDIR = 72,
	P9_TRENAMEAT = 74,
	P9_TUNLINKAT = 76,
	P9_TVERSION = 100,
	P9_TAUTH = 102,
	P9_TATTACH = 104,
	P9_TFLUSH = 108,
	P9_TWALK = 110,
	P9_TREAD = 116,
	P9_TWRITE = 118,
	P9_TCLUNK = 120,
	P9_TREMOVE = 122,
	P9_TYPES = 128,
};

#define P9_VERSION     "9P2000.L"
#define P9_HEADER_SIZE 7u
#define P9_NOTAG       0xffffu
#define P9_NOFID       0xffffffffu
#define P9_WALK_MAX    16u
#define P9_NAME_MAX    255u
#define P9_MAGIC       0x01021997u /* the type that statfs reports */

#define P9_QID_SIZE    13u
#define P9_QID_DIR     0x80u
#define P9_QID_SYMLINK 0x02u
#define P9_QID_FILE    0x00u

/* Twrite and Rread: the bytes around the data. */
#define P9_READ_HEADER	(P9_HEADER_SIZE + 4u)
#define P9_WRITE_HEADER (P9_HEADER_SIZE + 16u)

/* Tlopen and Tlcreate. The values are those of open(2) on x86. */
#define P9_ACCESS_MASK 3u
#define P9_RDONLY      0u
#define P9_WRONLY      1u
#define P9_RDWR	       2u
#define P9_EXCL	       0200u
#define P9_TRUNC       01000u
#define P9_APPEND      02000u
#define P9_DSYNC       010000u
#define P9_DIRECTORY   0200000u
#define P9_SYNC	       04010000u

#define P9_REMOVEDIR 0x200u /* Tunlinkat */

/* Tgetattr and Rgetattr. */
#define P9_GETATTR_BASIC 0x7ffull

/* Tsetattr. */
#define P9_SETATTR_MODE	     0x001u
#define P9_SETATTR_UID	     0x002u
#define P9_SETATTR_GID	     0x004u
#define P9_SETATTR_SIZE	     0x008u
#define P9_SETATTR_ATIME     0x010u
#define P9_SETATTR_MTIME     0x020u
#define P9_SETATTR_CTIME     0x040u
#define P9_SETATTR_ATIME_SET 0x080u
#define P9_SETATTR_MTIME_SET 0x100u
#define P9_SETATTR_ALL	     0x1ffu

/* Tlock and Tgetlock. */
#define P9_LOCK_RDLCK	0u
#define P9_LOCK_WRLCK	1u
#define P9_LOCK_UNLCK	2u
#define P9_LOCK_SUCCESS 0u
#define P9_LOCK_BLOCKED 1u
#define P9_LOCK_ERROR	2u

/*
 * A reply's body, written field by field; a field that does not fit sets a flag and is not written.
 */
struct p9_reply {
	uint8_t *data;
	size_t at, size;
	bool failed;
};

static inline uint8_t *reply_room(struct p9_reply *reply, size_t length)
{
	uint8_t *at = reply->data + reply->at;

	if (length > reply->size - reply->at) {
		reply->failed = true;
		return NULL;
	}
	reply->at += length;
	return at;
}

void reply_u8(struct p9_reply *reply, uint8_t value);
void reply_u16(struct p9_reply *reply, uint16_t value);
void reply_u32(struct p9_reply *reply, uint32_t value);
void reply_u64(struct p9_reply *reply, uint64_t value);
void reply_string(struct p9_reply *reply, const char *text, size_t length);

#endif
