/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that attacks its monitor through a broken device (broken.h), with no kernel below: each
 * attack is a few system calls that the monitor makes for it. The command line says which:
 *
 *   attack=NAME [loop] [path=TEXT] [other=TEXT] [number=N]
 *
 * `loop`: in the event loop's thread instead of the vCPU's. It prints `attack NAME: RESULT`, where
 * a negative result is -errno, on the early serial port, and powers off. An attack without a result
 * ended the monitor.
 */
#include <asm/unistd.h>
#include <stddef.h>
#include <stdint.h>

#define BROKEN_GUEST
#include "tests/attack/broken.h"

#define PORT_UART  0x3f8
#define PORT_POWER 0x604

#define AT_HERE (-100) /* AT_FDCWD */
#define FDS	256    /* descriptors that are tried one after the other */

static char path[512], other[512];
static long number;
static int in_loop;

/* --- the machine ------------------------------------------------------------------------------ */

static void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static void out16(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static void set(unsigned reg, uint64_t value)
{
	*(volatile uint64_t *)(uintptr_t)(BROKEN_BASE + reg) = value;
}

static uint64_t get(unsigned reg)
{
	return *(volatile uint64_t *)(uintptr_t)(BROKEN_BASE + reg);
}

static void print(const char *text)
{
	for (; *text; text++)
		out8(PORT_UART, (uint8_t)*text);
}

static void print_number(long value)
{
	char text[24];
	unsigned at = sizeof(text) - 1;
	unsigned long rest = value < 0 ? -(unsigned long)value : (unsigned long)value;

	text[at] = '\0';
	do {
		text[--at] = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest > 0);
	if (value < 0)
		text[--at] = '-';
	print(text + at);
}

/* --- calls of the monitor --------------------------------------------------------------------- */

static long call(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
	const uint64_t word[7] = {(uint64_t)nr, a, b, c, d, e, f};
	unsigned i;

	for (i = 0; i < 7; i++)
		set(BROKEN_NUMBER + 8 * i, word[i]);
	set(BROKEN_GO, (uint64_t)in_loop);
	while (get(BROKEN_DONE) == 0)
		__asm__ volatile("pause");
	return (long)get(BROKEN_RESULT);
}

#define CALL6(nr, a, b, c, d, e, f, ...)                                                    \
	call(nr, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), (uint64_t)(e), \
	     (uint64_t)(f))
#define DO(...) CALL6(__VA_ARGS__, 0, 0, 0, 0, 0, 0)

/* Where something of the guest's lies in the monitor. */
static uint64_t at(const void *of_guest)
{
	set(BROKEN_WHERE, (uint64_t)(uintptr_t)of_guest);
	return get(BROKEN_WHERE);
}

/* --- attacks ---------------------------------------------------------------------------------- */

static uint8_t room[4096] __attribute__((aligned(4096)));

/* Words for a call, in guest memory. */
static uint64_t words[8];

static long open_read(void)
{
	return DO(__NR_openat, AT_HERE, at(path), 0);
}

static long open_old(void)
{
	return DO(__NR_open, at(path), 0);
}

static long open_new_call(void)
{
	words[0] = words[1] = words[2] = 0;
	return DO(__NR_openat2, AT_HERE, at(path), at(words), 24);
}

static long create(void)
{
	return DO(__NR_openat, AT_HERE, at(other), 0102 /* O_RDWR, O_CREAT */, 0600);
}

static long overwrite(void)
{
	return DO(__NR_openat, AT_HERE, at(path), 01001 /* O_WRONLY, O_TRUNC */);
}

static long unnamed(void)
{
	return DO(__NR_openat, AT_HERE, at(other), 020200002 /* O_RDWR, O_TMPFILE */, 0600);
}

static long make_directory(void)
{
	return DO(__NR_mkdirat, AT_HERE, at(other), 0700);
}

static long make_node(void)
{
	return DO(__NR_mknodat, AT_HERE, at(other), 0010600 /* a FIFO */, 0);
}

static long remove_file(void)
{
	return DO(__NR_unlinkat, AT_HERE, at(path), 0);
}

static long move(void)
{
	return DO(__NR_renameat, AT_HERE, at(path), AT_HERE, at(other));
}

static long make_symlink(void)
{
	return DO(__NR_symlinkat, at(path), AT_HERE, at(other));
}

static long make_link(void)
{
	return DO(__NR_linkat, AT_HERE, at(path), AT_HERE, at(other), 0);
}

static long change_mode(void)
{
	return DO(__NR_fchmodat, AT_HERE, at(path), 0777);
}

static long change_owner(void)
{
	return DO(__NR_fchownat, AT_HERE, at(path), 0, 0, 0);
}

static long cut(void)
{
	return DO(__NR_truncate, at(path), 0);
}

static long look(void)
{
	return DO(__NR_newfstatat, AT_HERE, at(path), at(room), 0);
}

static long may_access(void)
{
	return DO(__NR_faccessat, AT_HERE, at(path), 4);
}

static long read_link(void)
{
	return DO(__NR_readlinkat, AT_HERE, at("/proc/self/exe"), at(room), sizeof(room));
}

static long set_times(void)
{
	return DO(__NR_utimensat, AT_HERE, at(path), 0, 0);
}

static long set_attribute(void)
{
	return DO(__NR_setxattr, at(path), at("user.attack"), at("x"), 1, 0);
}

static long make_handle(void)
{
	words[0] = 128; /* handle_bytes */
	*(uint32_t *)(void *)room = 128;
	return DO(__NR_name_to_handle_at, AT_HERE, at(path), at(room), at(words), 0);
}

static long list_directory(void)
{
	long fd = DO(__NR_openat, AT_HERE, at("/"), 0200000 /* O_DIRECTORY */);

	return fd < 0 ? fd : DO(__NR_getdents64, fd, at(room), sizeof(room));
}

/* `..` of every descriptor that the monitor has. */
static long climb(void)
{
	static char up[600] = "../../../../../../../../../../../../";
	long fd, ret = -2;
	unsigned i, end = 0;

	while (up[end])
		end++;
	for (i = 0; path[i]; i++)
		up[end + i] = path[i];
	for (fd = 0; fd < 1100 && ret < 0; fd++)
		ret = DO(__NR_openat, fd, at(up + 0), 0);
	return ret;
}

static long change_root(void)
{
	return DO(__NR_chroot, at("/"));
}

static long change_directory(void)
{
	return DO(__NR_chdir, at(path));
}

static long watch_file(void)
{
	long fd = DO(__NR_inotify_init1, 0);

	return fd < 0 ? fd : DO(__NR_inotify_add_watch, fd, at(path), 2);
}

static long watch_system(void)
{
	return DO(__NR_fanotify_init, 0, 0);
}

/* --- devices ---------------------------------------------------------------------------------- */

/* /dev/kvm anew, or by a request to any descriptor. */
static long open_kvm(void)
{
	return DO(__NR_openat, AT_HERE, at("/dev/kvm"), 2);
}

static long second_machine(void)
{
	long fd, ret = -25;

	for (fd = 0; fd < FDS && ret < 0; fd++)
		ret = DO(__NR_ioctl, fd, 0xae01 /* KVM_CREATE_VM */, 0);
	return ret;
}

static long another_vcpu(void)
{
	long fd, ret = -25;

	for (fd = 0; fd < FDS && ret < 0; fd++)
		ret = DO(__NR_ioctl, fd, 0xae41 /* KVM_CREATE_VCPU */, 1);
	return ret;
}

static long open_tun(void)
{
	return DO(__NR_openat, AT_HERE, at("/dev/net/tun"), 2);
}

static long open_random(void)
{
	return DO(__NR_openat, AT_HERE, at("/dev/urandom"), 0);
}

static long type_into_terminal(void)
{
	long ret = DO(__NR_ioctl, 0, 0x5412 /* TIOCSTI */, at("x"));

	/* What a terminal says that does not permit it any more, and a file that is none. */
	return ret == -25 || ret == -5 ? 0 : ret;
}

/* --- processes -------------------------------------------------------------------------------- */

/* The child ends at once: what it would do next is not the guest's to say. */
static long fork_child(void)
{
	return DO(__NR_clone, 0x01000000 /* CLONE_UNTRACED */ | 17, 0, 0, 0, 0);
}

static long clone_new(void)
{
	words[0] = 0;
	words[1] = words[2] = words[3] = 0;
	words[4] = 17;
	words[5] = words[6] = words[7] = 0;
	return DO(__NR_clone3, at(words), 64);
}

static long execute(void)
{
	words[0] = at(path);
	words[1] = 0;
	return DO(__NR_execve, at(path), at(words), at(words + 1));
}

static long execute_at(void)
{
	words[0] = at(path);
	words[1] = 0;
	return DO(__NR_execveat, AT_HERE, at(path), at(words), at(words + 1), 0);
}

static long kill_process(void)
{
	return DO(__NR_kill, number, 15);
}

static long kill_everything(void)
{
	return DO(__NR_kill, -1, 0);
}

static long kill_thread(void)
{
	return DO(__NR_tgkill, number, number, 15);
}

static long kill_queued(void)
{
	*(int *)(void *)room = 15;
	*(int *)(void *)(room + 8) = -1; /* SI_QUEUE */
	return DO(__NR_rt_sigqueueinfo, number, 15, at(room));
}

static long open_process(void)
{
	return DO(__NR_pidfd_open, number, 0);
}

static long trace(void)
{
	return DO(__NR_ptrace, 0x4206 /* PTRACE_SEIZE */, number, 0, 0);
}

static long read_memory(void)
{
	words[0] = at(room);
	words[1] = 8;
	words[2] = (uint64_t)at(room); /* not mapped there: EFAULT, once permitted */
	words[3] = 8;
	return DO(__NR_process_vm_readv, number, at(words), 1, at(words + 2), 1, 0) == -14 ? 0 : -1;
}

static long write_memory(void)
{
	words[0] = at(room);
	words[1] = 8;
	words[2] = (uint64_t)at(room);
	words[3] = 8;
	return DO(__NR_process_vm_writev, number, at(words), 1, at(words + 2), 1, 0) == -14 ? 0
											    : -1;
}

static long compare_processes(void)
{
	return DO(__NR_kcmp, number, number, 0, 0, 0);
}

static long limit_process(void)
{
	return DO(__NR_prlimit64, number, 4 /* RLIMIT_CORE */, 0, at(room));
}

static long slow_process(void)
{
	return DO(__NR_setpriority, 0, number, 10);
}

static long bind_process(void)
{
	words[0] = 1;
	return DO(__NR_sched_setaffinity, number, 8, at(words));
}

static long own_parent(void)
{
	return DO(__NR_prctl, 1 /* PR_SET_PDEATHSIG */, 0);
}

static long make_dumpable(void)
{
	return DO(__NR_prctl, 4 /* PR_SET_DUMPABLE */, 1);
}

static long be_traced(void)
{
	return DO(__NR_prctl, 0x59616d61 /* PR_SET_PTRACER */, -1);
}

static long become(void)
{
	return DO(__NR_setresuid, -1, -1, -1);
}

static long leave_group(void)
{
	return DO(__NR_setsid);
}

static long signal_by_file(void)
{
	long ret = DO(__NR_fcntl, 2, 8 /* F_SETOWN */, number);

	return ret < 0 ? ret : DO(__NR_fcntl, 2, 10 /* F_SETSIG */, 15);
}

/* --- namespaces ------------------------------------------------------------------------------- */

static long user_namespace(void)
{
	return DO(__NR_unshare, 0x08000000 /* CLONE_NEWUTS */);
}

static long mount_namespace(void)
{
	return DO(__NR_unshare, 0x00020000 /* CLONE_NEWNS */);
}

static long join_namespace(void)
{
	long fd, ret = -22;

	fd = DO(__NR_openat, AT_HERE, at("/proc/self/ns/uts"), 0);
	if (fd >= 0)
		ret = DO(__NR_setns, fd, 0);
	return fd < 0 ? fd : ret;
}

static long mount_files(void)
{
	return DO(__NR_mount, at("attack"), at(path), at("tmpfs"), 0, 0);
}

static long mount_new(void)
{
	return DO(__NR_fsopen, at("tmpfs"), 0);
}

static long copy_tree(void)
{
	return DO(__NR_open_tree, AT_HERE, at("/"), 1);
}

/* --- the network ------------------------------------------------------------------------------ */

static long socket_connects(long family, long type, const void *address, unsigned length)
{
	long fd = DO(__NR_socket, family, type, 0);

	return fd < 0 ? fd : DO(__NR_connect, fd, at(address), length);
}

static long connect_tcp(void)
{
	static uint8_t address[16] = {2, 0, 0, 0, 127, 0, 0, 1};

	address[2] = (uint8_t)(number >> 8);
	address[3] = (uint8_t)number;
	return socket_connects(2, 1, address, sizeof(address));
}

static long connect_unix(void)
{
	static uint8_t address[110] = {1};
	unsigned i;

	for (i = 0; i < 107 && path[i]; i++)
		address[2 + i] = (uint8_t)path[i];
	return socket_connects(1, number == 5 ? 5 : 1, address, sizeof(address));
}

static long connect_abstract(void)
{
	static uint8_t address[110] = {1};
	unsigned i;

	for (i = 0; path[i]; i++)
		address[3 + i] = (uint8_t)path[i];
	return socket_connects(1, 1, address, 3 + i);
}

static long listen_tcp(void)
{
	static const uint8_t address[16] = {2, 0, 0, 0, 127, 0, 0, 1};
	long fd = DO(__NR_socket, 2, 1, 0), ret;

	if (fd < 0)
		return fd;
	ret = DO(__NR_bind, fd, at(address), sizeof(address));
	return ret < 0 ? ret : DO(__NR_listen, fd, 1);
}

static long socket_udp(void)
{
	return DO(__NR_socket, 2, 2, 0);
}

static long socket_netlink(void)
{
	return DO(__NR_socket, 16, 3, 0);
}

static long socket_raw(void)
{
	return DO(__NR_socket, 2, 3, 1);
}

static long socket_packet(void)
{
	return DO(__NR_socket, 17, 3, 0);
}

static long socket_pair(void)
{
	return DO(__NR_socketpair, 1, 1, 0, at(room));
}

/* --- the kernel ------------------------------------------------------------------------------- */

static long rings(void)
{
	return DO(__NR_io_uring_setup, 1, at(room));
}

static long load_bpf(void)
{
	/* An array of one item: BPF_MAP_CREATE. */
	*(uint32_t *)(void *)room = 2;
	*(uint32_t *)(void *)(room + 4) = 4;
	*(uint32_t *)(void *)(room + 8) = 4;
	*(uint32_t *)(void *)(room + 12) = 1;
	return DO(__NR_bpf, 0, at(room), 72);
}

static long count_events(void)
{
	*(uint32_t *)(void *)room = 1; /* PERF_TYPE_SOFTWARE */
	*(uint32_t *)(void *)(room + 4) = 128;
	return DO(__NR_perf_event_open, at(room), 0, -1, -1, 0);
}

static long fault_memory(void)
{
	return DO(__NR_userfaultfd, 1);
}

static long add_key(void)
{
	return DO(__NR_add_key, at("user"), at("attack"), at("x"), 1, -2 /* of the process */);
}

static long find_key(void)
{
	return DO(__NR_keyctl, 0, -2, 1);
}

static long read_log(void)
{
	return DO(__NR_syslog, 10, 0, 0);
}

static long change_personality(void)
{
	return DO(__NR_personality, 0x0040000 /* ADDR_NO_RANDOMIZE */);
}

static long change_ldt(void)
{
	return DO(__NR_modify_ldt, 0, at(room), sizeof(room));
}

static long ports(void)
{
	return DO(__NR_iopl, 0);
}

static long executable_memory(void)
{
	return DO(__NR_mmap, 0, 4096, 7, 0x22 /* MAP_PRIVATE, MAP_ANONYMOUS */, -1, 0) > 0 ? 0 : -1;
}

static long executable_later(void)
{
	return DO(__NR_mprotect, at(room), 4096, 7);
}

static long shared_memory(void)
{
	long id = DO(__NR_shmget, 0, 4096, 01600);

	return id < 0 ? id : DO(__NR_shmctl, id, 0 /* IPC_RMID */, 0);
}

static long message_queue(void)
{
	long id = DO(__NR_msgget, 0, 01600);

	return id < 0 ? id : DO(__NR_msgctl, id, 0 /* IPC_RMID */, 0);
}

static long lock_memory(void)
{
	return DO(__NR_mlockall, 5 /* MCL_CURRENT, MCL_ONFAULT */);
}

static long make_timer(void)
{
	return DO(__NR_timer_create, 1, 0, at(room));
}

static long host_name(void)
{
	/* With a length that no name has: EINVAL, once permitted. */
	return DO(__NR_sethostname, at(room), 100000) == -22 ? 0 : -1;
}

static long set_clock(void)
{
	/* A time that none is: EINVAL, once permitted. */
	words[0] = 0;
	words[1] = ~0ull;
	return DO(__NR_clock_settime, 0, at(words)) == -22 ? 0 : -1;
}

#define ATTACK(name)        \
	{                   \
#name, name \
	}

static const struct {
	const char *name;
	long (*run)(void);
} attacks[] = {
	ATTACK(open_read),
	ATTACK(open_old),
	ATTACK(open_new_call),
	ATTACK(create),
	ATTACK(overwrite),
	ATTACK(unnamed),
	ATTACK(make_directory),
	ATTACK(make_node),
	ATTACK(remove_file),
	ATTACK(move),
	ATTACK(make_symlink),
	ATTACK(make_link),
	ATTACK(change_mode),
	ATTACK(change_owner),
	ATTACK(cut),
	ATTACK(look),
	ATTACK(may_access),
	ATTACK(read_link),
	ATTACK(set_times),
	ATTACK(set_attribute),
	ATTACK(make_handle),
	ATTACK(list_directory),
	ATTACK(climb),
	ATTACK(change_root),
	ATTACK(change_directory),
	ATTACK(watch_file),
	ATTACK(watch_system),
	ATTACK(open_kvm),
	ATTACK(second_machine),
	ATTACK(another_vcpu),
	ATTACK(open_tun),
	ATTACK(open_random),
	ATTACK(type_into_terminal),
	ATTACK(fork_child),
	ATTACK(clone_new),
	ATTACK(execute),
	ATTACK(execute_at),
	ATTACK(kill_process),
	ATTACK(kill_everything),
	ATTACK(kill_thread),
	ATTACK(kill_queued),
	ATTACK(open_process),
	ATTACK(trace),
	ATTACK(read_memory),
	ATTACK(write_memory),
	ATTACK(compare_processes),
	ATTACK(limit_process),
	ATTACK(slow_process),
	ATTACK(bind_process),
	ATTACK(own_parent),
	ATTACK(make_dumpable),
	ATTACK(be_traced),
	ATTACK(become),
	ATTACK(leave_group),
	ATTACK(signal_by_file),
	ATTACK(user_namespace),
	ATTACK(mount_namespace),
	ATTACK(join_namespace),
	ATTACK(mount_files),
	ATTACK(mount_new),
	ATTACK(copy_tree),
	ATTACK(connect_tcp),
	ATTACK(connect_unix),
	ATTACK(connect_abstract),
	ATTACK(listen_tcp),
	ATTACK(socket_udp),
	ATTACK(socket_netlink),
	ATTACK(socket_raw),
	ATTACK(socket_packet),
	ATTACK(socket_pair),
	ATTACK(rings),
	ATTACK(load_bpf),
	ATTACK(count_events),
	ATTACK(fault_memory),
	ATTACK(add_key),
	ATTACK(find_key),
	ATTACK(read_log),
	ATTACK(change_personality),
	ATTACK(change_ldt),
	ATTACK(ports),
	ATTACK(executable_memory),
	ATTACK(executable_later),
	ATTACK(shared_memory),
	ATTACK(message_queue),
	ATTACK(lock_memory),
	ATTACK(make_timer),
	ATTACK(host_name),
	ATTACK(set_clock),
};

/* --- the command line ------------------------------------------------------------------------- */

/* The word's rest, if it begins so. */
static const char *after(const char *word, const char *start)
{
	while (*start && *word == *start) {
		word++;
		start++;
	}
	return *start ? NULL : word;
}

static void copy_word(char *to, size_t size, const char *word)
{
	size_t i;

	for (i = 0; i + 1 < size && word[i] && word[i] != ' '; i++)
		to[i] = word[i];
	to[i] = '\0';
}

static void run(const char *name)
{
	unsigned i;
	const char *rest;

	for (i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
		rest = after(name, attacks[i].name);
		if (!rest || *rest)
			continue;
		print("attack ");
		print(name);
		print(": ");
		print_number(attacks[i].run());
		print("\n");
		return;
	}
	print("no such attack\n");
}

void start(const uint8_t *boot_params);
void start(const uint8_t *boot_params)
{
	const char *word =
		(const char *)(uintptr_t) * (const uint32_t *)(const void *)(boot_params + 0x228);
	static char name[64];
	const char *value;

	while (*word) {
		value = after(word, "attack=");
		if (value)
			copy_word(name, sizeof(name), value);
		value = after(word, "path=");
		if (value)
			copy_word(path, sizeof(path), value);
		value = after(word, "other=");
		if (value)
			copy_word(other, sizeof(other), value);
		if (after(word, "attack-in-loop"))
			in_loop = 1;
		value = after(word, "number=");
		for (; value && *value >= '0' && *value <= '9'; value++)
			number = 10 * number + (*value - '0');
		while (*word && *word != ' ')
			word++;
		while (*word == ' ')
			word++;
	}
	run(name);
	for (;;)
		out16(PORT_POWER, 0x2000);
}

/* Linux's 64-bit boot protocol: the boot parameters are in rsi; there is no stack yet. */
uint8_t stack[16384] __attribute__((aligned(16)));
__asm__(".section .text.entry, \"ax\"\n"
	".globl entry\n"
	"entry:\n"
	"	leaq stack+16384(%rip), %rsp\n"
	"	movq %rsi, %rdi\n"
	"	call start\n");
