/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/policy/audit_sign.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/base/fd.h"

/* Reads a key file into text. The number of bytes, or -errno with a message. */
static ssize_t read_file(const char *path, bool secret, char text[SSH_KEY_FILE_MAX + 1],
			 struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	struct stat status;
	ssize_t n;

	if (fd < 0)
		return err_sys(err, "key %s", path);
	if (fstat(fd, &status) < 0)
		n = err_sys(err, "key %s", path);
	else if (!S_ISREG(status.st_mode))
		n = err_set(err, EINVAL, "key %s: not a regular file", path);
	else if (secret && (status.st_uid != geteuid() || (status.st_mode & 077) != 0))
		n = err_set(err, EPERM,
			    "key %s: must belong to you and be readable only by you (chmod 600)",
			    path);
	else
		n = fd_pread_full(fd, text, SSH_KEY_FILE_MAX + 1, 0);
	fd_close(&fd);
	return n;
}

void audit_key_lock(struct audit_key *key)
{
	if (mlock(key, sizeof(*key)) < 0 || madvise(key, sizeof(*key), MADV_DONTDUMP) < 0) {
		/* Optional: the key works without. */
	}
}

int audit_key_read(struct audit_key **key, const char *path, struct err *err)
{
	char text[SSH_KEY_FILE_MAX + 1];
	struct audit_key *made;
	ssize_t n;
	int ret;

	*key = NULL;
	made = mmap(NULL, sizeof(*made), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		    0);
	if (made == MAP_FAILED)
		return err_set(err, ENOMEM, "out of memory");
	audit_key_lock(made);
	n = read_file(path, true, text, err);
	ret = n < 0 ? (int)n : ssh_secret_parse(&made->secret, text, (size_t)n, path, err);
	explicit_bzero(text, sizeof(text));
	if (ret < 0)
		audit_key_free(made);
	else
		*key = made;
	return ret;
}

void audit_key_free(struct audit_key *key)
{
	if (!key)
		return;
	explicit_bzero(key, sizeof(*key));
	munmap(key, sizeof(*key));
}

int audit_public_read(uint8_t public[SSH_KEY_SIZE], const char *path, struct err *err)
{
	char text[SSH_KEY_FILE_MAX + 1];
	ssize_t n = read_file(path, false, text, err);

	return n < 0 ? (int)n : ssh_public_parse(public, text, (size_t)n, path, err);
}

size_t audit_statement(const struct audit_head head[AUDIT_PARTS], char text[AUDIT_STATEMENT_SIZE])
{
	return (size_t)snprintf(
		text, AUDIT_STATEMENT_SIZE,
		"cordon audit log\nallowed %llu %.64s\ndenials %llu %.64s\n",
		(unsigned long long)head[AUDIT_ALLOWED].sequence, head[AUDIT_ALLOWED].hash,
		(unsigned long long)head[AUDIT_DENIALS].sequence, head[AUDIT_DENIALS].hash);
}

void audit_sign(const struct audit_key *key, const struct audit_head head[AUDIT_PARTS],
		char signature[SSH_SIGNATURE_SIZE])
{
	char text[AUDIT_STATEMENT_SIZE];
	size_t length = audit_statement(head, text);

	ssh_sign(&key->secret, AUDIT_NAMESPACE, text, length, signature);
}

int audit_check_signed(const struct audit_check *check, const uint8_t public[SSH_KEY_SIZE],
		       struct err *err)
{
	char text[AUDIT_STATEMENT_SIZE];
	size_t length = audit_statement(check->head, text);

	if (check->signature_line == 0)
		return err_set(err, EBADMSG, "the log is not signed%s",
			       check->chain[AUDIT_DENIALS].closed
				       ? ""
				       : ": it is being written, or its monitor was killed");
	if (check->signature_line != check->sequence)
		return err_set(err, EBADMSG,
			       "the lines after the last signature, line %llu, are not signed",
			       (unsigned long long)check->signature_line);
	if (!ssh_verify(public, AUDIT_NAMESPACE, text, length, check->signature,
			strlen(check->signature)))
		return err_set(err, EBADMSG,
			       "line %llu is not a signature of this log with that key",
			       (unsigned long long)check->signature_line);
	return 0;
}
