/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks that /dev/kvm is a true one: runs a few real-mode instructions, then a loop of many, and
 * reports which kinds of exit came and how long an instruction takes. Uses no code of Cordon: it is
 * the lab's own proof.
 *
 * kvmcheck [VCPUS [ROUNDS]]    exit status 0 if every vCPU ended as it should
 *
 * Each vCPU counts a register down from ROUNDS * 65536, stores its result through the shared
 * memory, writes a byte to port 0x10 and halts.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

#define MEM_SIZE  0x10000
#define CODE	  0x1000
#define RESULTS	  0x2000
#define PORT	  0x10
#define MAX_VCPUS 8

static uint8_t *mem;
static size_t run_size;
static unsigned int rounds = 100;

/* si = rounds; do cx = 0 (65536 turns of loop) until si is 0; [di] = 0x5a; out; hlt */
static const uint8_t code[] = {
	0x31, 0xc9,	  /* xor cx, cx       */
	0xe2, 0xfe,	  /* loop .           */
	0x4e,		  /* dec si           */
	0x75, 0xf9,	  /* jnz the xor      */
	0xc6, 0x05, 0x5a, /* mov byte [di], 5a */
	0xb0, 0x2a,	  /* mov al, 2a       */
	0xe6, PORT,	  /* out PORT, al     */
	0xf4,		  /* hlt              */
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

struct cpu {
	int fd;
	int index;
	int ok;
	pthread_t thread;
};

static int set_registers(struct cpu *cpu)
{
	struct kvm_sregs sregs;
	struct kvm_regs regs = {
		.rip = CODE,
		.rflags = 2,
		.rsi = rounds,
		.rdi = (uint64_t)(RESULTS + cpu->index),
	};

	if (ioctl(cpu->fd, KVM_GET_SREGS, &sregs) < 0)
		return -errno;
	sregs.cs.base = 0;
	sregs.cs.selector = 0;
	if (ioctl(cpu->fd, KVM_SET_SREGS, &sregs) < 0 || ioctl(cpu->fd, KVM_SET_REGS, &regs) < 0)
		return -errno;
	return 0;
}

static void *run_cpu(void *arg)
{
	struct cpu *cpu = arg;
	struct kvm_run *run;
	int outs = 0;

	run = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, cpu->fd, 0);
	if (run == MAP_FAILED || set_registers(cpu) < 0) {
		perror("kvmcheck: vcpu set-up");
		return NULL;
	}
	for (;;) {
		if (ioctl(cpu->fd, KVM_RUN, 0) < 0) {
			if (errno == EINTR)
				continue;
			perror("kvmcheck: KVM_RUN");
			return NULL;
		}
		if (run->exit_reason == KVM_EXIT_IO && run->io.port == PORT) {
			outs += ((uint8_t *)run)[run->io.data_offset] == 0x2a;
			continue;
		}
		if (run->exit_reason == KVM_EXIT_HLT)
			break;
		printf("vcpu %d: unexpected exit %u\n", cpu->index, run->exit_reason);
		return NULL;
	}
	cpu->ok = outs == 1 && mem[RESULTS + cpu->index] == 0x5a;
	return NULL;
}

int main(int argc, char **argv)
{
	struct cpu cpus[MAX_VCPUS] = {0};
	struct kvm_userspace_memory_region region = {.memory_size = MEM_SIZE};
	int count = argc > 1 ? atoi(argv[1]) : 1;
	int kvm, vm, size, good = 0;
	double start, took;

	if (argc > 2)
		rounds = (unsigned int)atoi(argv[2]);
	if (count < 1 || count > MAX_VCPUS || rounds < 1 || rounds > 65535)
		return 2;
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0) {
		perror("kvmcheck: /dev/kvm");
		return 1;
	}
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	region.userspace_addr = (uintptr_t)mem;
	if (vm < 0 || size < 0 || mem == MAP_FAILED ||
	    ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) < 0) {
		perror("kvmcheck: VM set-up");
		return 1;
	}
	run_size = (size_t)size;
	memcpy(mem + CODE, code, sizeof(code));

	start = now();
	for (int i = 0; i < count; i++) {
		cpus[i].index = i;
		cpus[i].fd = ioctl(vm, KVM_CREATE_VCPU, i);
		if (cpus[i].fd < 0 || pthread_create(&cpus[i].thread, NULL, run_cpu, &cpus[i])) {
			perror("kvmcheck: KVM_CREATE_VCPU");
			return 1;
		}
	}
	for (int i = 0; i < count; i++) {
		pthread_join(cpus[i].thread, NULL);
		good += cpus[i].ok;
	}
	took = now() - start;
	printf("kvmcheck: API %d, %d of %d vCPUs ran to their end, %.2f ns an instruction\n",
	       ioctl(kvm, KVM_GET_API_VERSION, 0), good, count, took * 1e9 / (rounds * 65536.0));
	return good == count ? 0 : 1;
}
