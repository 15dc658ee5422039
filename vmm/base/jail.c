/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/base/jail.h"

#include <errno.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"

/* --- capabilities ----------------------------------------------------------------------------- */

struct capabilities {
	struct __user_cap_header_struct header;
	struct __user_cap_data_struct data[2];
};

static int get(struct capabilities *own)
{
	*own = (struct capabilities){.header = {.version = _LINUX_CAPABILITY_VERSION_3}};
	return syscall(SYS_capget, &own->header, own->data) < 0 ? -errno : 0;
}

bool jail_has_capabilities(uint32_t wanted)
{
	struct capabilities own;

	return get(&own) == 0 && (own.data[0].effective & wanted) == wanted;
}

int jail_keep_capabilities(uint32_t wanted, struct err *err)
{
	struct capabilities own;
	int ret = get(&own);

	if (ret < 0)
		return err_code(err, -ret, "capget");
	own.data[0].permitted &= wanted;
	own.data[0].effective = own.data[0].permitted;
	own.data[0].inheritable = 0;
	own.data[1] = (struct __user_cap_data_struct){.effective = 0};
	if (syscall(SYS_capset, &own.header, own.data) < 0)
		return err_sys(err, "capset");
	return 0;
}

/* --- the rest --------------------------------------------------------------------------------- */

int jail_limit_resources(struct err *err)
{
	const struct rlimit zero = {0, 0};
	struct rlimit files;

	if (setrlimit(RLIMIT_CORE, &zero) < 0)
		return err_sys(err, "setrlimit core");
	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &files) < 0)
			return err_sys(err, "setrlimit nofile");
	}
	return 0;
}

bool jail_enter_namespaces(const int *kinds, unsigned count)
{
	bool all = true;
	unsigned i;

	for (i = 0; i < count; i++)
		if (unshare(kinds[i]) < 0)
			all = false;
	return all;
}

int jail_detach(struct err *err)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0 ||
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys(err, "prctl");
	return 0;
}

int jail_filter(uint32_t otherwise, int (*add_rules)(scmp_filter_ctx context))
{
	scmp_filter_ctx context = seccomp_init(otherwise);
	int ret = context ? add_rules(context) : -ENOMEM;

	if (ret == 0)
		ret = seccomp_load(context);
	if (context)
		seccomp_release(context);
	return ret;
}

int jail_program(scmp_filter_ctx context, struct sock_fprog *program)
{
	/* The library writes it to descriptors only. */
	int fd = memfd_create("filter", MFD_CLOEXEC);
	int ret = fd < 0 ? -errno : seccomp_export_bpf(context, fd);
	off_t size = ret == 0 ? lseek(fd, 0, SEEK_END) : 0;
	struct sock_filter *code = NULL;
	ssize_t n = 0;

	if (ret == 0 && (size <= 0 || size % (off_t)sizeof(*code) != 0 ||
			 size / (off_t)sizeof(*code) > BPF_MAXINSNS))
		ret = -E2BIG;
	if (ret == 0) {
		code = malloc((size_t)size);
		n = code ? fd_pread_full(fd, code, (size_t)size, 0) : -ENOMEM;
		ret = n < 0 ? (int)n : n < size ? -EIO : 0;
	}
	fd_close(&fd);
	if (ret < 0) {
		free(code);
		return ret;
	}
	program->len = (unsigned short)((size_t)size / sizeof(*code));
	program->filter = code;
	return 0;
}

/* --- threads of the monitor ------------------------------------------------------------------- */

static void (*begin_thread)(enum jail_thread thread);

void jail_set_begin(void (*begin)(enum jail_thread thread))
{
	begin_thread = begin;
}

void jail_begin_thread(enum jail_thread thread)
{
	if (begin_thread)
		begin_thread(thread);
}

/* --- Landlock: the kernel's Documentation/userspace-api/landlock.rst -------------------------- */

/* As the kernel has it from version 6 of the interface on; the C library's headers may be older. */
struct ruleset {
	uint64_t files, network, scopes;
};

struct path_beneath {
	uint64_t allowed;
	int32_t parent;
} __attribute__((packed));

#define VERSION	     1u /* LANDLOCK_CREATE_RULESET_VERSION */
#define PATH_BENEATH 1	/* LANDLOCK_RULE_PATH_BENEATH */
#define SCOPES	     3u /* abstract Unix sockets, signals */

/* How many rights about files each version knows; later ones no fewer. */
static const unsigned char rights[] = {0, 13, 14, 15, 15, 16};

static uint64_t known(unsigned version)
{
	return (UINT64_C(1) << rights[min_u64(version, sizeof(rights) - 1)]) - 1;
}

void jail_landlock_create(struct jail_landlock *landlock)
{
	struct ruleset all = {.files = 0};
	long version = syscall(SYS_landlock_create_ruleset, NULL, 0, VERSION);

	*landlock =
		(struct jail_landlock){.fd = -1, .version = version > 0 ? (unsigned)version : 0};
	if (version < 1)
		return;
	all.files = known(landlock->version);
	all.scopes = landlock->version >= JAIL_LANDLOCK_SCOPES ? SCOPES : 0;
	/* Fields that an older kernel does not know are zero, which it accepts. */
	landlock->fd = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof(all), 0);
}

int jail_landlock_permit(const struct jail_landlock *landlock, int directory, uint64_t permitted)
{
	const struct path_beneath rule = {.allowed = permitted & known(landlock->version),
					  .parent = directory};

	return syscall(SYS_landlock_add_rule, landlock->fd, PATH_BENEATH, &rule, 0) < 0 ? -errno
											: 0;
}

int jail_landlock_restrict(const struct jail_landlock *landlock)
{
	return syscall(SYS_landlock_restrict_self, landlock->fd, 0) < 0 ? -errno : 0;
}

void jail_landlock_close(struct jail_landlock *landlock)
{
	fd_close(&landlock->fd);
}
