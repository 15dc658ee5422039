/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots of a machine on the real /dev/kvm whose saved state is forged: fields of processors,
 * interrupt controllers, devices, serial port and disks are changed at random under correct
 * checksums. The monitor refuses the file with one line, or the guest goes on with it, or the guest
 * ends; the monitor never dies.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <zlib.h>

#include "vmm/base/bytes.h"
#include "vmm/base/fd.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/snapshot_format.h"

#define TRIALS	     300
#define RUN_NS	     3000000ull
#define HANG_SECONDS 300
#define TEXT	     0x200000u
#define STATE_AT     48 /* in the header: the length of the state */

static char directory[] = "/tmp/cordon-guest-XXXXXX";
static struct loop *loop;
static struct machine machine;
static unsigned refused, ran, ended;
static uint32_t random_state = 7;

static uint32_t next_random(void)
{
	random_state = random_state * 1664525u + 1013904223u;
	return random_state >> 8;
}

static void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
	_exit(1);
}

static const char *in_directory(const char *name)
{
	static char path[2][64];
	static int turn;

	turn = !turn;
	snprintf(path[turn], sizeof(path[turn]), "%s/%s", directory, name);
	return path[turn];
}

/* Writes a kernel that increments RAX for ever. */
static void write_kernel(const char *path)
{
	static const uint8_t code[] = {0x48, 0xff, 0xc0, 0xeb, 0xfb}; /* inc rax; jmp */
	struct {
		Elf64_Ehdr header;
		Elf64_Phdr segment;
		uint8_t gap[0x1000 - sizeof(Elf64_Ehdr) - sizeof(Elf64_Phdr)];
		uint8_t text[0x1000];
	} file = {
		.header =
			{
				.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB,
					    EV_CURRENT},
				.e_type = ET_EXEC,
				.e_machine = EM_X86_64,
				.e_version = EV_CURRENT,
				.e_entry = TEXT,
				.e_phoff = sizeof(Elf64_Ehdr),
				.e_ehsize = sizeof(Elf64_Ehdr),
				.e_phentsize = sizeof(Elf64_Phdr),
				.e_phnum = 1,
			},
		.segment =
			{
				.p_type = PT_LOAD,
				.p_flags = PF_R | PF_X,
				.p_offset = 0x1000,
				.p_vaddr = TEXT,
				.p_paddr = TEXT,
				.p_filesz = 0x1000,
				.p_memsz = 0x1000,
				.p_align = 0x1000,
			},
	};
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	memcpy(file.text, code, sizeof(code));
	if (fd < 0 || fd_write_full(fd, &file, sizeof(file)) < 0)
		fail("%s", path);
	close(fd);
}

/* --- a machine -------------------------------------------------------------------------------- */

static void on_ended(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void on_timer(void *arg)
{
	(void)arg;
	loop_stop(loop);
}

static void on_paused(void *arg)
{
	int fd = open(in_directory("good"), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct err err;

	(void)arg;
	if (fd < 0 || snapshot_write(&machine, NULL, fd, "test\n", &err) < 0)
		fail("snapshot: %s", fd < 0 ? strerror(errno) : err.text);
	close(fd);
	loop_stop(loop);
}

static const struct machine_ops ops = {.ended = on_ended};

#define DISK_BYTES  KIB(64)
#define DISK_AT	    KIB(20) /* where the scratch disk has data */
#define IMAGE_BYTES 8192

/* Inserts an image, and a scratch disk that holds data. */
static void put_disks(void)
{
	static uint8_t bytes[IMAGE_BYTES];
	int fd = open(in_directory("image"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	struct disk *disk;
	struct err err = {""};

	memset(bytes, 0x5d, sizeof(bytes));
	if (fd < 0 || fd_write_full(fd, bytes, sizeof(bytes)) < 0)
		fail("the image");
	close(fd);
	if (disk_open_image(&disk, in_directory("image"), &err) < 0 ||
	    devices_set_disk(&machine.devices, MACHINE_DISK_IMAGE, disk, &err) < 0 ||
	    disk_create_scratch(&disk, DISK_BYTES, &err) < 0 ||
	    disk_write(disk, DISK_AT, bytes, DISK_BLOCK) != DISK_BLOCK ||
	    devices_set_disk(&machine.devices, MACHINE_DISK_WRITABLE, disk, &err) < 0)
		fail("disks: %s", err.text);
}

/* Both disks are back, with their contents. */
static void check_disks(void)
{
	struct disk *image = blk_disk(machine.devices.blk[MACHINE_DISK_IMAGE]);
	struct disk *disk = blk_disk(machine.devices.blk[MACHINE_DISK_WRITABLE]);
	uint8_t bytes[DISK_BLOCK];

	if (!image || disk_bytes(image) != IMAGE_BYTES || !disk_is_read_only(image))
		fail("the image is not there again");
	if (!disk || disk_bytes(disk) != DISK_BYTES || disk_is_read_only(disk))
		fail("the scratch disk is not there again");
	if (disk_read(disk, DISK_AT, bytes, sizeof(bytes)) != sizeof(bytes) || bytes[0] != 0x5d ||
	    bytes[sizeof(bytes) - 1] != 0x5d)
		fail("what was written is not there again");
	if (disk_read(disk, 0, bytes, sizeof(bytes)) != sizeof(bytes) || bytes[0] != 0)
		fail("what was not written is not zero");
}

/* Makes the valid snapshot: two processors, one of them running; two disks. */
static void make_snapshot(void)
{
	struct machine_config config = {
		.memory = MIB(64),
		.cpus = 2,
		.kernel = in_directory("kernel"),
		.console_fd = -1,
	};
	struct err err;

	write_kernel(config.kernel);
	if (machine_create(&machine, loop, &config, &ops, NULL, &err) < 0)
		fail("machine: %s", err.text);
	put_disks();
	if (machine_start(&machine, &err) < 0)
		fail("start: %s", err.text);
	loop_lock(loop);
	if (machine_pause(&machine, on_paused, NULL) < 0)
		fail("pause");
	loop_unlock(loop);
	loop_run(loop);
	machine_destroy(&machine);
}

/*
 * Opens and restores a file and runs the guest for a moment. Returns true if it could be restored.
 */
static bool try_snapshot(const char *path, struct err *err)
{
	struct machine_config config = {.console_fd = -1, .trusted_image = true};
	struct loop_timer timer = {.expired = on_timer};
	struct snapshot snapshot;
	bool runs;

	err->text[0] = '\0';
	if (snapshot_open(&snapshot, path, NULL, err) < 0)
		return false;
	config.restore = &snapshot;
	runs = machine_create(&machine, loop, &config, &ops, NULL, err) == 0;
	snapshot_close(&snapshot);
	if (!runs)
		return false;
	loop_timer_start(loop, &timer, RUN_NS);
	if (machine_start(&machine, err) == 0)
		loop_run(loop);
	machine_stop(&machine);
	loop_timer_stop(loop, &timer);
	ended += machine.end != MACHINE_RUNNING;
	if (strstr(path, "good"))
		check_disks();
	machine_destroy(&machine);
	return true;
}

/* --- lies ------------------------------------------------------------------------------------- */

static void seal(uint8_t *file)
{
	uint64_t at = SNAPSHOT_HEADER_BYTES, end = at + load_le64(file + STATE_AT), length;

	for (; at + SNAPSHOT_SECTION_BYTES <= end; at += SNAPSHOT_SECTION_BYTES + length) {
		length = load_le64(file + at + 8);
		store_le32(file + at + 16,
			   snapshot_section_checksum(file + at, file + at + SNAPSHOT_SECTION_BYTES,
						     length));
	}
}

/* Changes a few fields in the payload of a random section that holds a machine's state. */
static void lie(uint8_t *file)
{
	static const uint64_t values[] = {0, 1, UINT64_MAX, UINT64_C(1) << 63, 0xfff, 0x80000000u};
	uint64_t at, length, end = SNAPSHOT_HEADER_BYTES + load_le64(file + STATE_AT);
	static const uint32_t types[] = {SNAPSHOT_VM, SNAPSHOT_VCPU, SNAPSHOT_DEVICE, SNAPSHOT_UART,
					 SNAPSHOT_DISK};
	uint32_t type, changes = 1 + next_random() % 4;
	uint32_t wanted = types[next_random() % ARRAY_SIZE(types)];

	for (at = SNAPSHOT_HEADER_BYTES; at < end; at += SNAPSHOT_SECTION_BYTES + length) {
		type = load_le32(file + at);
		length = load_le64(file + at + 8);
		if (type != wanted || length < 8 || next_random() % 2)
			continue;
		while (changes-- > 0) {
			uint64_t field = at + SNAPSHOT_SECTION_BYTES + next_random() % (length - 7);

			if (next_random() % 2)
				store_le64(file + field,
					   values[next_random() % ARRAY_SIZE(values)]);
			else
				file[field] ^= (uint8_t)(1u << next_random() % 8);
		}
		return;
	}
}

static void run_trials(void)
{
	int fd = open(in_directory("good"), O_RDONLY | O_CLOEXEC);
	off_t size = lseek(fd, 0, SEEK_END);
	uint8_t *good = malloc((size_t)size), *bad = malloc((size_t)size);
	struct err err;
	unsigned i;

	if (size < SNAPSHOT_HEADER_BYTES || !good || !bad ||
	    fd_pread_full(fd, good, (size_t)size, 0) != size)
		fail("reading the snapshot");
	close(fd);
	for (i = 0; i < TRIALS; i++) {
		memcpy(bad, good, (size_t)size);
		lie(bad);
		seal(bad);
		fd = open(in_directory("bad"), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (fd < 0 || fd_write_full(fd, bad, (size_t)size) < 0)
			fail("writing");
		close(fd);
		if (try_snapshot(in_directory("bad"), &err)) {
			ran++;
		} else {
			refused++;
			if (!err.text[0] || strchr(err.text, '\n'))
				fail("refused with '%s'", err.text);
		}
	}
	free(good);
	free(bad);
}

/* --- tests ------------------------------------------------------------------------------------ */

static void untrusted(void)
{
	struct machine_config config = {.console_fd = -1};
	struct snapshot snapshot;
	struct err err;

	make_snapshot();
	if (snapshot_open(&snapshot, in_directory("good"), NULL, &err) < 0)
		fail("%s", err.text);
	config.restore = &snapshot;
	if (machine_create(&machine, loop, &config, &ops, NULL, &err) == 0)
		fail("the file's word was taken for where the image is");
	if (!strstr(err.text, "--rootfs"))
		fail("refused with '%s'", err.text);
	snapshot_close(&snapshot);
}

static void good_again(void)
{
	struct err err;

	make_snapshot();
	if (!try_snapshot(in_directory("good"), &err))
		fail("%s", err.text);
	if (ended)
		fail("the guest does not go on: %s", machine_end_text(machine.end));
}

static void lies(void)
{
	make_snapshot();
	run_trials();
	printf("# %u refused, %u ran, %u of those ended by themselves\n", refused, ran, ended);
	if (refused == 0 || ran == 0)
		fail("all of one kind: the trials prove nothing");
}

static int run_test(const char *name, void (*test)(void))
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		alarm(HANG_SECONDS);
		if (loop_create(&loop) < 0)
			fail("no loop");
		test();
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	printf("%s %s\n", status == 0 ? "ok" : "not ok", name);
	if (status != 0)
		printf("# status 0x%x\n", (unsigned)status);
	return status != 0;
}

int main(void)
{
	char command[64];
	int failed;

	if (access("/dev/kvm", R_OK | W_OK) < 0) {
		printf("skip snapshot no access to /dev/kvm\n");
		return 0;
	}
	if (!mkdtemp(directory))
		return 1;
	failed = run_test("snapshot_goes_on", good_again);
	failed += run_test("snapshot_names_an_image", untrusted);
	failed += run_test("snapshot_of_lies", lies);
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	if (system(command) != 0)
		failed++;
	return failed != 0;
}
