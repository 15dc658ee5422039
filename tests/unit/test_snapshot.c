/* SPDX-License-Identifier: Apache-2.0 */
/* The snapshot file's own checks, without KVM: foreign, old, cut and damaged files. */
#include "vmm/machine/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "tests/support/forged_snapshot.h"
#include "tests/support/unit.h"
#include "vmm/base/fd.h"
#include "vmm/sandbox/shares.h"

#define FLIPS 12000

static const struct snapshot_stop never;

static bool yes(void *arg)
{
	(void)arg;
	return true;
}

static const struct snapshot_stop at_once = {.wanted = yes};

static uint32_t random_state = 1;

static uint32_t next_random(void)
{
	random_state = random_state * 1664525u + 1013904223u;
	return random_state >> 8;
}

static void expect_open(const uint8_t *file, size_t size)
{
	struct snapshot snapshot;
	struct err err = {.text = ""};

	ck_assert_msg(forged_snapshot_open(&snapshot, file, size, &err) == 0, "%s", err.text);
	snapshot_close(&snapshot);
}

/* Refused with -EINVAL and one line that has the words. */
static void expect_refused(const uint8_t *file, size_t size, const char *words)
{
	struct snapshot snapshot;
	struct err err = {.text = ""};

	ck_assert_int_eq(forged_snapshot_open(&snapshot, file, size, &err), -EINVAL);
	ck_assert_msg(err.text[0] && !strchr(err.text, '\n'), "'%s'", err.text);
	ck_assert_msg(strstr(err.text, words) != NULL, "'%s' expected in: %s", words, err.text);
	ck_assert_int_eq(snapshot.fd, -1);
	ck_assert_ptr_null(snapshot.state);
	snapshot_close(&snapshot); /* once more does no harm */
}

static void expect_forged_refused(const struct forged_snapshot *forged, const char *words)
{
	size_t size, state;
	uint8_t *file = forged_snapshot_build(forged, &size, &state);

	expect_refused(file, size, words);
	free(file);
}

START_TEST(a_valid_file_describes_its_contents)
{
	struct forged_snapshot forged;
	struct snapshot snapshot;
	struct err err = {.text = ""};
	size_t size, state;
	uint8_t *file;

	forged_snapshot_init(&forged);
	file = forged_snapshot_build(&forged, &size, &state);
	ck_assert_msg(forged_snapshot_open(&snapshot, file, size, &err) == 0, "%s", err.text);
	ck_assert_uint_eq(snapshot.memory, FORGED_SNAPSHOT_MEMORY);
	ck_assert_uint_eq(snapshot.cpus, 2);
	ck_assert_uint_eq(snapshot.disk_queues, 3);
	ck_assert_uint_eq(snapshot.net_queues, 2);
	ck_assert_uint_eq(snapshot.devices, 2);
	ck_assert(snapshot.ring0_emulated);
	ck_assert_uint_eq(snapshot.cpu_fingerprint, 0x12345678);
	ck_assert_str_eq(snapshot.key, FORGED_SNAPSHOT_KEY);
	ck_assert_uint_eq(snapshot.extent_count, FORGED_SNAPSHOT_EXTENTS);
	ck_assert_uint_eq(snapshot.extents[2].gpa, 0x200000);
	ck_assert_uint_eq(snapshot.extents[2].length, 3 * SNAPSHOT_PAGE);
	ck_assert_uint_eq(snapshot.disk, FORGED_SNAPSHOT_DISK);
	ck_assert_int_eq(snapshot_verify_memory(&snapshot, &never, &err), 0);
	snapshot_close(&snapshot);
	free(file);
}
END_TEST

START_TEST(foreign_files_are_refused)
{
	static const uint8_t elf[4096] = "\177ELF";
	struct forged_snapshot forged;
	struct snapshot snapshot;
	struct err err;

	expect_refused(elf, sizeof(elf), "not a snapshot");
	expect_refused(elf, 0, "too short");
	expect_refused(elf, 5, "too short");
	forged_snapshot_init(&forged);
	forged.magic[7] = 'Q';
	expect_forged_refused(&forged, "not a snapshot");
	ck_assert_int_eq(snapshot_open(&snapshot, "/nonexistent/file", NULL, &err), -ENOENT);
	ck_assert_int_eq(snapshot_open(&snapshot, "/", NULL, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "plain file"));
	ck_assert_int_eq(snapshot_open(&snapshot, "/dev/zero", NULL, &err), -EINVAL);
}
END_TEST

START_TEST(other_versions_and_machines_are_refused)
{
	struct forged_snapshot forged;

	forged_snapshot_init(&forged);
	forged.version = SNAPSHOT_VERSION + 1;
	expect_forged_refused(&forged, "format version");
	forged_snapshot_init(&forged);
	forged.arch = 183; /* AArch64 */
	expect_forged_refused(&forged, "architecture");
	forged_snapshot_init(&forged);
	strcpy(forged.build, "0.0.0-other");
	expect_forged_refused(&forged, "written by Cordon 0.0.0-other, and only that version");
	forged_snapshot_init(&forged);
	memset(forged.build, 'x', sizeof(forged.build)); /* without its end */
	expect_forged_refused(&forged, "written by Cordon xxxxxxxxxxxxxxxx, and");
}
END_TEST

START_TEST(every_truncation_is_refused)
{
	struct forged_snapshot forged;
	size_t size, state, length;
	uint8_t *file;

	forged_snapshot_init(&forged);
	file = forged_snapshot_build(&forged, &size, &state);
	for (length = 0; length < state + 64; length++)
		expect_refused(file, length, "");
	/* Of the memory behind it every page counts, the last byte too. */
	for (length = state; length < size; length += 1000)
		expect_refused(file, length, "makes no sense");
	expect_refused(file, size - 1, "makes no sense");
	expect_open(file, size);
	free(file);
}
END_TEST

START_TEST(every_bit_of_the_state_counts)
{
	struct forged_snapshot forged;
	size_t size, state, at;
	uint8_t *file;
	unsigned i;

	forged_snapshot_init(&forged);
	file = forged_snapshot_build(&forged, &size, &state);
	for (i = 0; i < FLIPS; i++) {
		/* All bits of the state once, then several at a time. */
		at = i < state * 8 ? i : next_random() % (state * 8);
		file[at / 8] ^= (uint8_t)(1u << at % 8);
		if (i >= state * 8) {
			size_t other = next_random() % state;
			uint8_t kept = file[other];

			file[other] ^= (uint8_t)(1 + next_random() % 255);
			if (other != at / 8)
				expect_refused(file, size, "");
			file[other] = kept;
		}
		expect_refused(file, size, "");
		file[at / 8] ^= (uint8_t)(1u << at % 8);
	}
	expect_open(file, size);
	free(file);
}
END_TEST

/* With checksums that are right, only the checks behind them stand. */
START_TEST(sealed_damage_is_refused_or_harmless)
{
	struct forged_snapshot forged;
	struct snapshot snapshot;
	size_t size, state, at;
	struct err err;
	uint8_t *file, *copy;
	unsigned i, opened = 0;
	uint32_t k;

	forged_snapshot_init(&forged);
	file = forged_snapshot_build(&forged, &size, &state);
	copy = malloc(size);
	ck_assert_ptr_nonnull(copy);
	for (i = 0; i < FLIPS; i++) {
		memcpy(copy, file, size);
		at = next_random() % (state * 8);
		copy[at / 8] ^= (uint8_t)(1u << at % 8);
		forged_snapshot_seal(copy, size);
		if (forged_snapshot_open(&snapshot, copy, size, &err) < 0) {
			ck_assert(!strchr(err.text, '\n'));
			continue;
		}
		opened++;
		ck_assert_uint_ge(snapshot.cpus, 1);
		ck_assert_uint_le(snapshot.cpus, 8);
		ck_assert_uint_le(snapshot.extent_count, SNAPSHOT_EXTENTS_MAX);
		for (k = 0; k < snapshot.extent_count; k++)
			ck_assert(range_within(snapshot.extents[k].offset,
					       snapshot.extents[k].length, size));
		(void)snapshot_verify_memory(&snapshot, &never, &err);
		snapshot_close(&snapshot);
	}
	ck_assert_uint_gt(opened, 0); /* or the seal does not work */
	free(copy);
	free(file);
}
END_TEST

START_TEST(invalid_configurations_are_refused)
{
	static const unsigned needed[] = {SNAPSHOT_CONFIG, SNAPSHOT_KEY, SNAPSHOT_MEMORY};
	struct forged_snapshot forged;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(needed); i++) {
		forged_snapshot_init(&forged);
		forged.leave_out = needed[i];
		expect_forged_refused(&forged, "missing");
	}
	forged_snapshot_init(&forged);
	forged.cpus = 0;
	expect_forged_refused(&forged, "no sense");
	forged.cpus = 9;
	expect_forged_refused(&forged, "no sense");
	forged.cpus = UINT32_MAX;
	expect_forged_refused(&forged, "no sense");
	forged_snapshot_init(&forged);
	forged.memory += 1;
	expect_forged_refused(&forged, "no sense");
}
END_TEST

START_TEST(extents_are_checked)
{
	static const struct {
		unsigned which;
		struct snapshot_extent change; /* added to the field */
	} bad[] = {
		{0, {.gpa = 1}},
		{0, {.length = 8}},
		{0, {.offset = 0x10}},
		{0, {.length = -(uint64_t)SNAPSHOT_PAGE}}, /* empty */
		{1, {.gpa = -(uint64_t)0x100000}},	   /* over the first */
		{1, {.length = UINT64_C(1) << 62}},
		{1, {.offset = UINT64_C(1) << 62}},
		{1, {.offset = UINT64_MAX - 0x3fff}},	   /* its end wraps */
		{1, {.offset = -(uint64_t)SNAPSHOT_PAGE}}, /* over the first, in the file */
		{0, {.offset = -(uint64_t)0x2000}},	   /* over the header */
		{2, {.length = UINT64_C(1) << 20}},	   /* behind the file's end */
		{2, {.gpa = UINT64_MAX - 0x200fff}},
		{2, {.gpa = UINT64_MAX - 0x201fff, .length = -(uint64_t)0x1000}},
	};
	struct forged_snapshot forged;
	struct snapshot_extent *extent;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		forged_snapshot_init(&forged);
		extent = &forged.extent[bad[i].which];
		extent->gpa += bad[i].change.gpa;
		extent->length += bad[i].change.length;
		extent->offset += bad[i].change.offset;
		expect_forged_refused(&forged, "makes no sense");
	}
	forged_snapshot_init(&forged);
	forged.extent_count = FORGED_SNAPSHOT_EXTENTS - 1; /* one more than it says */
	expect_forged_refused(&forged, "cut short");
	forged.extent_count = FORGED_SNAPSHOT_EXTENTS + 1;
	expect_forged_refused(&forged, "");
	forged.extent_count = UINT32_MAX;
	expect_forged_refused(&forged, "cut short");
}
END_TEST

START_TEST(sections_are_there_once_and_in_order)
{
	static const unsigned types[] = {
		SNAPSHOT_CONFIG, SNAPSHOT_VM,	SNAPSHOT_VCPU,		SNAPSHOT_UART,
		SNAPSHOT_MEMORY, SNAPSHOT_DISK, SHARES_SECTION_SESSION, 11,
		0x10000};
	struct forged_snapshot forged;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		forged_snapshot_init(&forged);
		forged.twice = types[i];
		expect_forged_refused(&forged, "not in its place");
	}
}
END_TEST

START_TEST(damaged_memory_is_found_on_request)
{
	struct forged_snapshot forged;
	struct snapshot snapshot;
	struct err err;
	size_t size, state;
	uint8_t *file;

	forged_snapshot_init(&forged);
	file = forged_snapshot_build(&forged, &size, &state);
	file[forged.extent[2].offset + 5] ^= 0x80;
	ck_assert_int_eq(forged_snapshot_open(&snapshot, file, size, &err), 0);
	ck_assert_int_eq(snapshot_verify_memory(&snapshot, &never, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "0x200000"));
	/* Or not, where it shall stop. */
	ck_assert_int_eq(snapshot_verify_memory(&snapshot, &at_once, &err), -EINTR);
	snapshot_close(&snapshot);
	free(file);
}
END_TEST

static void touch(const char *directory, const char *name, bool locked, int *fd)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(*fd, 0);
	if (locked)
		ck_assert_int_eq(flock(*fd, LOCK_EX | LOCK_NB), 0);
}

START_TEST(only_dead_writers_files_are_swept)
{
	static const struct {
		const char *name;
		bool locked, stays;
	} file[] = {
		{"a.template", false, true},	    {"a.template.abc123", false, false},
		{"a.template.abc124", true, true},  {"a.template.abcd", false, true},
		{"a.snapshot.abc123", false, true}, {".template.abc123", false, true},
	};
	char directory[] = "/tmp/cordon-sweep-XXXXXX", path[256];
	int fd[ARRAY_SIZE(file)];
	size_t i;

	ck_assert_ptr_nonnull(mkdtemp(directory));
	for (i = 0; i < ARRAY_SIZE(file); i++)
		touch(directory, file[i].name, file[i].locked, &fd[i]);
	snapshot_sweep(directory, ".template");
	for (i = 0; i < ARRAY_SIZE(file); i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, file[i].name);
		ck_assert_msg((access(path, F_OK) == 0) == file[i].stays, "%s", file[i].name);
		unlink(path);
		close(fd[i]);
	}
	ck_assert_int_eq(rmdir(directory), 0);
	snapshot_sweep(directory, ".template"); /* a missing directory: nothing happens */
}
END_TEST

UNIT_MAIN("snapshot", a_valid_file_describes_its_contents, foreign_files_are_refused,
	  other_versions_and_machines_are_refused, every_truncation_is_refused,
	  every_bit_of_the_state_counts, sealed_damage_is_refused_or_harmless,
	  invalid_configurations_are_refused, extents_are_checked,
	  sections_are_there_once_and_in_order, damaged_memory_is_found_on_request,
	  only_dead_writers_files_are_swept)
