/* SPDX-License-Identifier: Apache-2.0 */
/* Disks in snapshot files: what is refused before anything is copied, and the copying. */
#include <errno.h>
#include <string.h>

#include "tests/support/forged_snapshot.h"
#include "tests/support/unit.h"
#include "vmm/machine/machine.h"

static void expect_forged_opens(const struct forged_snapshot *forged, uint64_t disk)
{
	struct snapshot snapshot;
	struct err err = {.text = ""};
	size_t size, state;
	uint8_t *file = forged_snapshot_build(forged, &size, &state);

	ck_assert_msg(forged_snapshot_open(&snapshot, file, size, &err) == 0, "%s", err.text);
	ck_assert_uint_eq(snapshot.disk, disk);
	snapshot_close(&snapshot);
	free(file);
}

static void expect_forged_refused(const struct forged_snapshot *forged, const char *words)
{
	struct snapshot snapshot;
	struct err err = {.text = ""};
	size_t size, state;
	uint8_t *file = forged_snapshot_build(forged, &size, &state);

	ck_assert_int_eq(forged_snapshot_open(&snapshot, file, size, &err), -EINVAL);
	ck_assert_msg(strstr(err.text, words) != NULL, "'%s' expected in: %s", words, err.text);
	free(file);
}

START_TEST(disks_are_checked)
{
	static const uint64_t far = UINT64_C(1) << 62;
	static const struct {
		unsigned which;
		struct snapshot_segment change; /* added to the field */
	} bad[] = {
		{0, {.at = 512}},
		{0, {.length = -(uint64_t)(2 * SNAPSHOT_PAGE)}}, /* empty */
		{0, {.length = far}},
		{0, {.offset = far}},
		{0, {.offset = UINT64_MAX - 0x3fff}}, /* its end wraps */
		{0, {.at = 0x100000}},		      /* over the second */
		{0, {.at = 0x200000}},		      /* behind it */
		{0, {.offset = -(uint64_t)0x3000}},   /* it is guest memory, too */
		/* The data of the first once more, whole and in part. */
		{1, {.offset = -(uint64_t)(2 * SNAPSHOT_PAGE)}},
		{1, {.offset = -(uint64_t)SNAPSHOT_PAGE}},
		{1, {.offset = -(uint64_t)1}},
		{1, {.length = 1}}, /* behind the file's end */
		{1, {.at = FORGED_SNAPSHOT_DISK - 0x100000}},
	};
	struct forged_snapshot forged;
	struct snapshot_segment *segment;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		forged_snapshot_init(&forged);
		segment = &forged.segment[bad[i].which];
		segment->at += bad[i].change.at;
		segment->length += bad[i].change.length;
		segment->offset += bad[i].change.offset;
		expect_forged_refused(&forged, "table of a disk makes no sense");
	}
}
END_TEST

START_TEST(sizes_of_disks_are_checked)
{
	static const struct {
		uint64_t bytes, limit, image;
		const char *words;
	} bad[] = {
		{FORGED_SNAPSHOT_DISK + 512, 0, 0, "disk 1 makes no sense"},
		{UINT64_C(1) << 43, 0, 0, "disk 1 makes no sense"},
		{UINT64_MAX & ~UINT64_C(4095), 0, 0, "disk 1 makes no sense"},
		{FORGED_SNAPSHOT_DISK, 4096, 0, "disk 1 makes no sense"}, /* a layer over nothing */
		{FORGED_SNAPSHOT_DISK, 0, FORGED_SNAPSHOT_DISK, "disk 1 makes no sense"},
		{FORGED_SNAPSHOT_DISK, 8192, FORGED_SNAPSHOT_DISK - 512, "disk 1 makes no sense"},
		/* Of a layer more than its limit. */
		{FORGED_SNAPSHOT_DISK, 8192, FORGED_SNAPSHOT_DISK, "more of a disk"},
	};
	struct forged_snapshot forged;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		forged_snapshot_init(&forged);
		forged.disk_bytes = bad[i].bytes;
		forged.disk_limit = bad[i].limit;
		forged.image_bytes = bad[i].image;
		expect_forged_refused(&forged, bad[i].words);
	}
	forged_snapshot_init(&forged);
	forged.segment_count = FORGED_SNAPSHOT_SEGMENTS + 1;
	expect_forged_refused(&forged, "disk 1 makes no sense");
	/* The twin: as large as there is, as much as the limit. */
	forged_snapshot_init(&forged);
	forged.disk_bytes = DISK_BYTES_MAX;
	expect_forged_opens(&forged, DISK_BYTES_MAX);
	forged.disk_bytes = forged.image_bytes = FORGED_SNAPSHOT_DISK + 512;
	forged.disk_limit = 3 * SNAPSHOT_PAGE;
	expect_forged_opens(&forged, 3 * SNAPSHOT_PAGE);
}
END_TEST

/* --- copying ---------------------------------------------------------------------------------- */

static struct machine machine; /* of disks alone */
static unsigned asked, stop_at;

static bool stop_wanted(void *arg)
{
	(void)arg;
	return ++asked == stop_at;
}

static void machine_begin(void)
{
	struct machine_devices *devices = &machine.devices;
	unsigned i;

	machine = (struct machine){.config.stop.wanted = stop_wanted};
	asked = stop_at = 0;
	ck_assert_int_eq(loop_create(&machine.loop), 0);
	devices->loop = machine.loop;
	ck_assert_int_eq(pool_create(&devices->pool, machine.loop), 0);
	for (i = 0; i < MACHINE_DISKS; i++)
		ck_assert_int_eq(blk_create(&devices->blk[i], machine.loop, devices->pool,
					    &(struct blk_config){.name = "disk", .queues = 1}),
				 0);
}

static struct disk *scratch(void)
{
	return blk_disk(machine.devices.blk[MACHINE_DISK_WRITABLE]);
}

static void machine_end(void)
{
	devices_destroy(&machine.devices);
	loop_destroy(machine.loop);
}

static int restore(const struct forged_snapshot *forged, struct err *err)
{
	struct snapshot snapshot;
	size_t size, state;
	uint8_t *file = forged_snapshot_build(forged, &size, &state);
	int ret;

	ck_assert_msg(forged_snapshot_open(&snapshot, file, size, err) == 0, "%s", err->text);
	ret = snapshot_restore_disks(&snapshot, &machine, err);
	snapshot_close(&snapshot);
	free(file);
	return ret;
}

static uint8_t byte_at(uint64_t offset)
{
	uint8_t byte = 0xee;

	ck_assert_int_eq(disk_read(scratch(), offset, &byte, 1), 1);
	return byte;
}

START_TEST(a_disk_is_restored)
{
	struct forged_snapshot forged;
	struct err err = {.text = ""};

	forged_snapshot_init(&forged);
	machine_begin();
	ck_assert_msg(restore(&forged, &err) == 0, "%s", err.text);
	ck_assert_uint_eq(disk_bytes(scratch()), FORGED_SNAPSHOT_DISK);
	ck_assert(byte_at(0) == 0xd0 && byte_at(2 * SNAPSHOT_PAGE - 1) == 0xd0);
	ck_assert(byte_at(2 * SNAPSHOT_PAGE) == 0 && byte_at(0xfffff) == 0);
	ck_assert(byte_at(0x100000) == 0xd1 && byte_at(0x100000 + SNAPSHOT_PAGE) == 0);
	machine_end();
}
END_TEST

START_TEST(damaged_data_is_found)
{
	struct forged_snapshot forged;
	struct err err = {.text = ""};

	forged_snapshot_init(&forged);
	forged.segment_sum_change = 1;
	machine_begin();
	ck_assert_int_eq(restore(&forged, &err), -EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "checksum of a disk"));
	ck_assert_ptr_null(scratch());
	machine_end();
}
END_TEST

/* A signal, or a starter that is gone, ends the copying at its next part. */
START_TEST(copying_stops_on_request)
{
	struct forged_snapshot forged;
	struct err err = {.text = ""};
	unsigned parts;

	forged_snapshot_init(&forged);
	machine_begin();
	ck_assert_int_eq(restore(&forged, &err), 0);
	parts = asked;
	machine_end();
	ck_assert_uint_ge(parts, FORGED_SNAPSHOT_SEGMENTS);
	for (; parts > 0; parts--) {
		machine_begin();
		stop_at = parts;
		ck_assert_int_eq(restore(&forged, &err), -EINTR);
		ck_assert_uint_eq(asked, parts);
		ck_assert_ptr_nonnull(strstr(err.text, "stopped"));
		ck_assert_ptr_null(scratch());
		machine_end();
	}
}
END_TEST

UNIT_MAIN("snapshot_disk", disks_are_checked, sizes_of_disks_are_checked, a_disk_is_restored,
	  damaged_data_is_found, copying_stops_on_request)
