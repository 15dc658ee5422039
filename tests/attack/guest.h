/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the attacking guest share (guest.c). */
#ifndef CORDON_TESTS_ATTACK_GUEST_H
#define CORDON_TESTS_ATTACK_GUEST_H

#include <asm/unistd.h>
#include <stddef.h>
#include <stdint.h>

#define AT_HERE (-100) /* AT_FDCWD */
#define FDS	256    /* descriptors that are tried one after the other */

/* From the command line. */
extern char path[512], other[512];
extern long number;

/* Memory of the guest for what calls read and write. */
extern uint8_t room[4096];
extern uint64_t words[8];

/* Has the monitor make a system call: what the kernel returns to it. */
long call(long nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f);

#define CALL6(nr, a, b, c, d, e, f, ...)                                                    \
	call(nr, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), (uint64_t)(e), \
	     (uint64_t)(f))
#define DO(...) CALL6(__VA_ARGS__, 0, 0, 0, 0, 0, 0)

/* Where something of the guest's lies in the monitor. */
uint64_t at(const void *of_guest);

/* The attacks: attack_NAME() returns at least 0 if it succeeds. */
/* clang-format off */
#define ATTACKS(X) \
	X(open_read) \
	X(open_old) \
	X(open_new_call) \
	X(create) \
	X(overwrite) \
	X(unnamed) \
	X(make_directory) \
	X(make_node) \
	X(remove_file) \
	X(move) \
	X(make_symlink) \
	X(make_link) \
	X(change_mode) \
	X(change_owner) \
	X(cut) \
	X(look) \
	X(may_access) \
	X(read_link) \
	X(set_times) \
	X(set_attribute) \
	X(make_handle) \
	X(list_directory) \
	X(climb) \
	X(change_root) \
	X(change_directory) \
	X(watch_file) \
	X(watch_system) \
	X(open_kvm) \
	X(second_machine) \
	X(another_vcpu) \
	X(open_tun) \
	X(open_random) \
	X(type_into_terminal) \
	X(fork_child) \
	X(clone_new) \
	X(execute) \
	X(execute_at) \
	X(kill_process) \
	X(kill_everything) \
	X(kill_thread) \
	X(kill_queued) \
	X(open_process) \
	X(trace) \
	X(read_memory) \
	X(write_memory) \
	X(compare_processes) \
	X(limit_process) \
	X(slow_process) \
	X(bind_process) \
	X(own_parent) \
	X(make_dumpable) \
	X(be_traced) \
	X(become) \
	X(leave_group) \
	X(signal_by_file) \
	X(user_namespace) \
	X(mount_namespace) \
	X(join_namespace) \
	X(mount_files) \
	X(mount_new) \
	X(copy_tree) \
	X(connect_tcp) \
	X(connect_unix) \
	X(connect_abstract) \
	X(listen_tcp) \
	X(socket_udp) \
	X(socket_netlink) \
	X(socket_raw) \
	X(socket_packet) \
	X(socket_pair) \
	X(rings) \
	X(load_bpf) \
	X(count_events) \
	X(fault_memory) \
	X(add_key) \
	X(find_key) \
	X(read_log) \
	X(change_personality) \
	X(change_ldt) \
	X(ports) \
	X(executable_memory) \
	X(executable_later) \
	X(shared_memory) \
	X(message_queue) \
	X(lock_memory) \
	X(make_timer) \
	X(host_name) \
	X(set_clock)
/* clang-format on */

#define DECLARE_ATTACK(name) long attack_##name(void);
ATTACKS(DECLARE_ATTACK)

#endif
