/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks that a process keeps its own vector registers. Two processes (or argv[1] of them) hold
 * different values in all AVX registers (where there is AVX-512, in all of its registers and
 * masks), for many time slices and through a signal handler that overwrites them, and compare.
 * Prints `hidden` if CPUID or XGETBV tells programs to use no AVX, else `right N` or
 * `WRONG N of M`. Exit status 1 if wrong. -v reports on stderr what was compared and how often.
 */
#include <cpuid.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SECONDS	  3
#define TURNS	  1000000 /* iterations of the loop that waits with all registers loaded */
#define XCR0_AVX  0x06ull
#define XCR0_WIDE 0xe6ull /* and AVX-512 */
#define BYTES	  (32 * 64 + 7 * 8)

static int wide;
static uint8_t other[BYTES], scrap[BYTES];
static volatile sig_atomic_t signals;

/* Loads every register from in, waits in user space, stores them to out. */
static void through_ymm(const uint8_t *in, uint8_t *out, unsigned long turns)
{
	__asm__ volatile(".irp reg,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n\t"
			 "vmovdqu 32*\\reg(%0), %%ymm\\reg\n\t"
			 ".endr\n"
			 "1: dec %2\n\tjnz 1b\n\t"
			 ".irp reg,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n\t"
			 "vmovdqu %%ymm\\reg, 32*\\reg(%1)\n\t"
			 ".endr\n"
			 : "+r"(in), "+r"(out), "+r"(turns)
			 :
			 : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
			   "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
			   "xmm15");
}

#define ALL_ZMM \
	"0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31"

__attribute__((target("avx512f,avx512bw"))) static void through_zmm(const uint8_t *in, uint8_t *out,
								    unsigned long turns)
{
	__asm__ volatile(".irp reg," ALL_ZMM "\n\t"
			 "vmovdqu64 64*\\reg(%0), %%zmm\\reg\n\t"
			 ".endr\n\t"
			 ".irp reg,1,2,3,4,5,6,7\n\t"
			 "kmovq 2040+8*\\reg(%0), %%k\\reg\n\t"
			 ".endr\n"
			 "1: dec %2\n\tjnz 1b\n\t"
			 ".irp reg," ALL_ZMM "\n\t"
			 "vmovdqu64 %%zmm\\reg, 64*\\reg(%1)\n\t"
			 ".endr\n\t"
			 ".irp reg,1,2,3,4,5,6,7\n\t"
			 "kmovq %%k\\reg, 2040+8*\\reg(%1)\n\t"
			 ".endr\n"
			 : "+r"(in), "+r"(out), "+r"(turns)
			 :
			 : "memory", "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6",
			   "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", "xmm13", "xmm14",
			   "xmm15", "xmm16", "xmm17", "xmm18", "xmm19", "xmm20", "xmm21", "xmm22",
			   "xmm23", "xmm24", "xmm25", "xmm26", "xmm27", "xmm28", "xmm29", "xmm30",
			   "xmm31", "k1", "k2", "k3", "k4", "k5", "k6", "k7");
}

static void through(const uint8_t *in, uint8_t *out, unsigned long turns)
{
	if (wide)
		through_zmm(in, out, turns);
	else
		through_ymm(in, out, turns);
}

/* Overwrites every register; the return from the signal must restore the program's values. */
static void on_alarm(int number)
{
	(void)number;
	signals++;
	through(other, scrap, 1);
}

static void fill(uint8_t *bytes, unsigned int number)
{
	for (size_t i = 0; i < BYTES; i++)
		bytes[i] = (uint8_t)(i * 7 + i / 64 + number * 101 + 1);
}

/* One process: loads its own pattern over and over. Returns whether it always came back intact. */
static int compute(unsigned int number, int verbose)
{
	struct itimerval every = {{0, 20000}, {0, 20000}};
	struct sigaction action = {.sa_handler = on_alarm};
	size_t size = wide ? BYTES : 16 * 32;
	time_t end = time(NULL) + SECONDS;
	uint8_t in[BYTES], out[BYTES];
	unsigned long rounds = 0;

	fill(in, number);
	fill(other, ~number);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &every, NULL);
	/* At least one signal: on a slow machine the first may come late. */
	while (time(NULL) < end || !signals) {
		memset(out, 0, sizeof(out));
		through(in, out, TURNS);
		if (memcmp(in, out, size) != 0)
			return 0;
		if (++rounds % 20 == 0)
			sched_yield();
	}
	if (verbose)
		fprintf(stderr, "%u: %zu bytes of registers, %lu rounds, %d signals\n", number,
			size, rounds, (int)signals);
	return 1;
}

/* XCR0 if programs may read it, else 0. */
static uint64_t enabled_state(void)
{
	unsigned int eax, ebx, ecx, edx;

	if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & bit_AVX) || !(ecx & bit_OSXSAVE))
		return 0;
	__asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
	return (uint64_t)edx << 32 | eax;
}

int main(int argc, char **argv)
{
	int verbose = argc > 1 && strcmp(argv[1], "-v") == 0;
	int count = argc > 1 + verbose ? atoi(argv[1 + verbose]) : 2;
	uint64_t state = enabled_state();
	unsigned int eax, ebx, ecx, edx;
	int wrong = 0, status;

	if ((state & XCR0_AVX) != XCR0_AVX) {
		puts("hidden");
		return 0;
	}
	wide = (state & XCR0_WIDE) == XCR0_WIDE &&
	       __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (ebx & bit_AVX512F) &&
	       (ebx & bit_AVX512BW);
	for (int i = 0; i < count; i++)
		if (fork() == 0)
			_exit(compute((unsigned int)i, verbose) ? 0 : 1);
	for (int i = 0; i < count; i++) {
		if (wait(&status) < 0 || status != 0)
			wrong++;
	}
	if (wrong)
		printf("WRONG %d of %d\n", wrong, count);
	else
		printf("right %d\n", count);
	return wrong != 0;
}
