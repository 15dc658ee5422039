/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QEMU plugin: counts the instructions of a guest's boot inside the lab's emulated machine.
 *
 * QEMU emulates L1 and, with it, the guest (L2) that a monitor in L1 runs with AMD-V. The plugin
 * recognizes L2 from outside: L2 runs from a VMRUN of L1 until L1 executes the instruction after
 * it. The plugin counts L2's instructions, none of L1's, from the guest kernel's entry to the first
 * instruction of its first program. Every instruction counts once, a repeated string instruction
 * too, as in the counters of processors (QEMU executes it once for each element).
 *
 * Arguments: entry=ADDRESS (from the kernel's ELF header, hexadecimal), out=FILE (the count, then
 * the profile), map=System.map (optional: a profile by function). mark=ADDRESS instead of entry=
 * counts everything of L2, programs too, from each time that a program of L1 executes that address
 * (bench/boot/mark.S) to the next time: this counts guests of a restored template. The file has the
 * least of these counts, and its profile, since what disturbs a run only adds to it. With
 * each=PREFIX there is a file for each of them, too: PREFIX.1, PREFIX.2 and so on.
 *
 * The file has "instructions N", with mark= "programs N", then one line for each function: self,
 * inclusive, calls (tail calls too), name.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The part of QEMU's plugin interface (version 1) used here; Debian ships no header for it. */
typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
#define PLUGIN_NO_REGISTERS 0
#define PLUGIN_ADD_U64	    0
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id,
					   void (*cb)(qemu_plugin_id_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, void (*cb)(unsigned, void *),
					  int flags, void *userdata);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int op,
						void *counter, uint64_t add);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
__attribute__((visibility("default"))) int qemu_plugin_version = 1;
__attribute__((visibility("default"))) int
qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv);

#define KERNEL_TEXT	  0xffffffff81000000ull
#define KERNEL_TEXT_SIZE  (32u << 20)
#define KERNEL_LOADED	  0x1000000ull /* the kernel's first code runs at its physical address */
#define KERNEL_LOADED_END 0x4000000ull
#define USER_END	  0x800000000000ull
#define USER_START	  0x10000ull
#define BOOT_LEAST	  100000 /* a boot has more instructions than this before its first program */
#define DEPTH_MAX	  4096
#define RETURN_SEARCH	  64

enum block_end { END_OTHER, END_CALL, END_RETURN, END_VMRUN };

/* A block of instructions as QEMU translated it. */
struct block {
	uint64_t start, end; /* end: address after the last instruction */
	unsigned count;
	uint64_t repeat; /* address of the repeated string instruction at the end, or 0 */
	enum block_end kind;
};

struct symbol {
	uint64_t address;
	char *name;
	uint64_t self, inclusive, calls;
	unsigned active; /* frames on the stack: recursion counts once */
};

struct frame {
	uint64_t return_address;
	uint64_t entered; /* profile.total then */
	int symbol;
};

static struct {
	uint64_t entry, mark;
	const char *out, *each;
	uint64_t executed; /* instructions of L1 and L2; generated code adds to it */
	uint64_t since;	   /* value of executed at the last entry to L2 */
	uint64_t sum;	   /* instructions of L2 before that entry */
	uint64_t resume;   /* where L1 continues after the current VMRUN */
	uint64_t repeat;   /* block.repeat of the previous block */
	uint64_t programs; /* with mark=: the part of sum that is not the kernel's */
	uint64_t least;	   /* with mark=: the least sum from a mark to the next; 0: none yet */
	unsigned marks;	   /* so many counts from a mark to the next were written with each= */
	bool entering, inside, started, done;
} state;

static struct {
	struct symbol *symbols;
	unsigned count;
	int *by_address; /* index of the symbol, by offset in the kernel's text; -1: none */
	struct frame stack[DEPTH_MAX];
	unsigned depth;
	uint64_t total;
	const struct block *previous;
} profile;

static int symbol_of(uint64_t address)
{
	if (address < KERNEL_TEXT || address >= KERNEL_TEXT + KERNEL_TEXT_SIZE)
		return -1;
	return profile.by_address[address - KERNEL_TEXT];
}

static void frame_pop(void)
{
	const struct frame *frame = &profile.stack[--profile.depth];

	if (frame->symbol >= 0 && --profile.symbols[frame->symbol].active == 0)
		profile.symbols[frame->symbol].inclusive += profile.total - frame->entered;
}

static void frame_push(uint64_t return_address, uint64_t target)
{
	struct frame *frame = &profile.stack[profile.depth++];

	*frame = (struct frame){return_address, profile.total, symbol_of(target)};
	if (frame->symbol >= 0)
		profile.symbols[frame->symbol].active++;
}

/* Follows calls and returns by address alone. Ignores a return that matches no frame. */
static void profile_block(const struct block *block)
{
	const struct block *previous = profile.previous;
	unsigned i;
	int symbol;

	if (previous && previous->kind == END_CALL && block->start != previous->end) {
		if (profile.depth < DEPTH_MAX)
			frame_push(previous->end, block->start);
	} else if (previous && previous->kind == END_RETURN) {
		for (i = profile.depth; i > 0 && profile.depth - i < RETURN_SEARCH; i--) {
			if (profile.stack[i - 1].return_address != block->start)
				continue;
			while (profile.depth >= i)
				frame_pop();
			break;
		}
	}
	symbol = symbol_of(block->start);
	if (symbol >= 0) {
		profile.symbols[symbol].self += block->count;
		profile.symbols[symbol].calls += block->start == profile.symbols[symbol].address;
	}
	profile.total += block->count;
	profile.previous = block;
}

static void write_result(const char *path)
{
	FILE *f = fopen(path, "w");
	unsigned i;

	if (!f) {
		perror(path);
		return;
	}
	while (profile.depth)
		frame_pop();
	fprintf(f, "instructions %llu\n", (unsigned long long)state.sum);
	if (state.mark)
		fprintf(f, "programs %llu\n", (unsigned long long)state.programs);
	for (i = 0; i < profile.count; i++)
		if (profile.symbols[i].self || profile.symbols[i].inclusive)
			fprintf(f, "%llu %llu %llu %s\n",
				(unsigned long long)profile.symbols[i].self,
				(unsigned long long)profile.symbols[i].inclusive,
				(unsigned long long)profile.symbols[i].calls,
				profile.symbols[i].name);
	fclose(f);
}

static bool is_user(uint64_t address)
{
	return address >= USER_START && address < USER_END &&
	       !(address >= KERNEL_LOADED && address < KERNEL_LOADED_END);
}

/* Counts a block of L2 between two marks. */
static void count_marked(const struct block *block)
{
	if (!state.started)
		return;
	if (symbol_of(block->start) < 0)
		state.programs += block->count;
	profile_block(block);
}

/* Forgets what was counted; the addresses of functions stay. */
static void start_again(void)
{
	unsigned i;

	state.sum = state.programs = 0;
	profile.depth = 0;
	profile.total = 0;
	profile.previous = NULL;
	for (i = 0; i < profile.count; i++)
		profile.symbols[i] = (struct symbol){.address = profile.symbols[i].address,
						     .name = profile.symbols[i].name};
}

/* A program of L1 is at the mark. */
static void on_mark(void)
{
	char path[4096];

	if (state.started && (!state.least || state.sum < state.least)) {
		state.least = state.sum;
		write_result(state.out);
	}
	if (state.started && state.each) {
		snprintf(path, sizeof(path), "%s.%u", state.each, ++state.marks);
		write_result(path);
	}
	state.started = true;
	start_again();
}

/* QEMU calls this before it executes a block, of L1 or of L2. */
static void on_block(unsigned cpu, void *data)
{
	const struct block *block = data;

	(void)cpu;
	if (state.done)
		return;
	/* The next element of a repeated instruction, which has been counted. */
	if (block->repeat && block->repeat == block->start && block->repeat == state.repeat)
		return;
	if (block->repeat)
		state.executed++;
	state.repeat = block->repeat;
	if (state.inside && block->start == state.resume) {
		state.sum += state.executed - state.since;
		state.inside = false;
	} else if (state.entering && block->start != state.resume) {
		state.inside = true;
		state.since = state.executed;
	}
	state.entering = false;
	if (state.inside && state.mark) {
		count_marked(block);
	} else if (state.inside) {
		if (!state.started && block->start == state.entry) {
			state.started = true;
			state.sum = 0;
			state.since = state.executed;
		}
		if (state.started && is_user(block->start) &&
		    state.sum + state.executed - state.since > BOOT_LEAST) {
			state.sum += state.executed - state.since;
			state.done = true;
			write_result(state.out);
		} else if (state.started && profile.count) {
			profile_block(block);
		}
	} else if (state.mark && block->start == state.mark) {
		on_mark();
	} else if (block->kind == END_VMRUN) {
		state.resume = block->end;
		state.entering = true;
	}
}

static enum block_end kind_of(const uint8_t *code, size_t size)
{
	if (size == 3 && code[0] == 0x0f && code[1] == 0x01 && code[2] == 0xd8)
		return END_VMRUN;
	/* Prefixes: CS and DS (of branches), REX. */
	while (size > 1 && (*code == 0x2e || *code == 0x3e || (*code & 0xf0) == 0x40)) {
		code++;
		size--;
	}
	if (*code == 0xe8 || (size > 1 && *code == 0xff && (code[1] & 0x38) == 0x10))
		return END_CALL;
	return *code == 0xc3 || *code == 0xcf ? END_RETURN : END_OTHER;
}

/* MOVS, STOS, LODS, CMPS, SCAS, INS or OUTS with a REP prefix? */
static bool is_repeated(const uint8_t *code, size_t size)
{
	bool repeated = false;
	uint8_t op;

	for (; size > 1; code++, size--) {
		if (*code == 0xf2 || *code == 0xf3)
			repeated = true;
		else if (*code != 0x66 && *code != 0x67 && (*code & 0xf0) != 0x40)
			break;
	}
	op = *code;
	return repeated && size == 1 &&
	       ((op >= 0xa4 && op <= 0xa7) || (op >= 0xaa && op <= 0xaf) ||
		(op >= 0x6c && op <= 0x6f));
}

static void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t count = qemu_plugin_tb_n_insns(tb), i;
	struct block *block = calloc(1, sizeof(*block)); /* lives as long as the translation may */
	struct qemu_plugin_insn *insn = NULL;

	(void)id;
	if (!block || count == 0)
		return;
	for (i = 0; i < count; i++) {
		insn = qemu_plugin_tb_get_insn(tb, i);
		if (is_repeated(qemu_plugin_insn_data(insn), qemu_plugin_insn_size(insn))) {
			block->repeat = qemu_plugin_insn_vaddr(insn);
			break; /* always the last of its block */
		}
		qemu_plugin_register_vcpu_insn_exec_inline(insn, PLUGIN_ADD_U64, &state.executed,
							   1);
	}
	block->start = qemu_plugin_tb_vaddr(tb);
	block->end = qemu_plugin_insn_vaddr(insn) + qemu_plugin_insn_size(insn);
	block->count = count;
	block->kind = kind_of(qemu_plugin_insn_data(insn), qemu_plugin_insn_size(insn));
	qemu_plugin_register_vcpu_tb_exec_cb(tb, on_block, PLUGIN_NO_REGISTERS, block);
}

static int by_address(const void *a, const void *b)
{
	const struct symbol *x = a, *y = b;

	return x->address < y->address ? -1 : x->address > y->address;
}

static int load_map(const char *path)
{
	unsigned long long address;
	char line[512], name[400], type;
	unsigned i, at = 0, room = 0;
	struct symbol *more;
	FILE *f = fopen(path, "r");

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%llx %c %399s", &address, &type, name) != 3 ||
		    (type != 't' && type != 'T') || address < KERNEL_TEXT ||
		    address >= KERNEL_TEXT + KERNEL_TEXT_SIZE)
			continue;
		if (profile.count == room) {
			room = room ? 2 * room : 65536;
			more = realloc(profile.symbols, room * sizeof(*more));
			if (!more)
				break;
			profile.symbols = more;
		}
		profile.symbols[profile.count++] =
			(struct symbol){.address = address, .name = strdup(name)};
	}
	fclose(f);
	profile.by_address = malloc(KERNEL_TEXT_SIZE * sizeof(int));
	if (!profile.count || !profile.by_address)
		return -1;
	qsort(profile.symbols, profile.count, sizeof(*profile.symbols), by_address);
	for (i = 0; i < KERNEL_TEXT_SIZE; i++) {
		while (at < profile.count && profile.symbols[at].address <= KERNEL_TEXT + i)
			at++;
		profile.by_address[i] = (int)at - 1;
	}
	return 0;
}

int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
	int i;

	(void)info;
	for (i = 0; i < argc; i++) {
		if (strncmp(argv[i], "entry=", 6) == 0) {
			state.entry = strtoull(argv[i] + 6, NULL, 16);
		} else if (strncmp(argv[i], "mark=", 5) == 0) {
			state.mark = strtoull(argv[i] + 5, NULL, 16);
		} else if (strncmp(argv[i], "out=", 4) == 0) {
			state.out = strdup(argv[i] + 4);
		} else if (strncmp(argv[i], "each=", 5) == 0) {
			state.each = strdup(argv[i] + 5);
		} else if (strncmp(argv[i], "map=", 4) == 0) {
			if (load_map(argv[i] + 4) < 0) {
				fprintf(stderr, "count: can't use %s\n", argv[i] + 4);
				return -1;
			}
		}
	}
	if ((!state.entry && (!state.mark || !profile.count)) || !state.out) {
		fprintf(stderr,
			"count: entry=ADDRESS, or mark= and map=, and out=FILE are needed\n");
		return -1;
	}
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
	return 0;
}
