/* SPDX-License-Identifier: Apache-2.0 */
/* A balloon with its driver: what its test programs share. */
#ifndef CORDON_TEST_BALLOON_COMMON_H
#define CORDON_TEST_BALLOON_COMMON_H

#include "devices/balloon/balloon.h"
#include "tests/support/fake_guest.h"
#include "tests/support/unit.h"

/* The specification's numbers (5.5). */
#define DEVICE_ID	 5
#define F_DEFLATE_ON_OOM (UINT64_C(1) << 2)
#define F_REPORTING	 (UINT64_C(1) << 5)
#define CONFIG_PAGES	 FAKE_REG_CONFIG
#define CONFIG_ACTUAL	 (FAKE_REG_CONFIG + 4)

#define PAGE	 4096u
#define RAM	 MIB(4)
#define RAM_PAGE (FAKE_RAM_BASE / PAGE) /* the number of the first page of RAM */

extern struct fake_guest guest;
extern struct fake_queue *inflate, *deflate, *report;
extern struct loop *loop;
extern struct balloon *balloon;

/* A guest with so much RAM whose driver has these features; begin(): RAM and both features. */
void begin_with(uint64_t ram, uint64_t features);
void begin(void);
void end(void);

/* Lets the loop do one round, in which the device has one turn; ring: after a doorbell. */
void run_once(void);
void ring(struct fake_queue *queue);

/* Pages of RAM with contents (0x5a), as the guest left them. */
uint64_t filled(unsigned pages);
bool all_are(uint64_t address, size_t length, uint8_t value);

/* Names pages in one chain and rings. Returns the chain's head. name_page: by its address. */
uint16_t name_pages(struct fake_queue *queue, const uint32_t *numbers, unsigned count);
void name_page(struct fake_queue *queue, uint64_t address);

/* The device has used so many chains since, and no more. */
void expect_used(struct fake_queue *queue, unsigned count);

#endif
