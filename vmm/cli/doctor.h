/* SPDX-License-Identifier: Apache-2.0 */
/* cordon doctor: checks of this host, one line each, with advice. */
#ifndef CORDON_CLI_DOCTOR_H
#define CORDON_CLI_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>

#include "vmm/kvm/probe.h"

enum doctor_verdict {
	DOCTOR_OK,
	DOCTOR_NOTE, /* works, but could be better, or an option is missing */
	DOCTOR_FAIL, /* no sandbox can run */
	DOCTOR_SKIP, /* not looked at, because something before it failed */
};

struct doctor_check {
	const char *name;
	enum doctor_verdict verdict;
	char found[512];  /* what is there */
	char advice[512]; /* what to do; "" if nothing */
};

#define DOCTOR_CHECKS_MAX 20
#define DOCTOR_TIMINGS	  7

struct doctor {
	struct doctor_check check[DOCTOR_CHECKS_MAX];
	unsigned count;
	struct host_report host;
	unsigned long create_vm_ns[DOCTOR_TIMINGS]; /* sorted; all 0 if not measured */
};

/* Appends a check; the texts are empty. Never NULL. */
struct doctor_check *doctor_add(struct doctor *doctor, const char *name,
				enum doctor_verdict verdict);

/* printf into found or advice. */
void doctor_text(char text[512], const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* /dev/kvm, permission, API version, capabilities, kind of host, KVM_CREATE_VM. */
void doctor_check_kvm(struct doctor *doctor);

void doctor_check_memory(struct doctor *doctor);

/* Resolvers, ping sockets, a route for IPv6, taps. Nothing is sent. */
void doctor_check_network(struct doctor *doctor);

/* What the host grants for the confinement of monitors and relays; the guest's files. */
void doctor_check_monitor(struct doctor *doctor);
void doctor_check_relay(struct doctor *doctor);

/* What --isolate gets of this host. */
void doctor_check_cores(struct doctor *doctor);
void doctor_check_guest(struct doctor *doctor);

/* Bare repositories in the current directory, which a sandbox may have left there. */
void doctor_check_planted(struct doctor *doctor);

/*
 * Reads the start of a small file into text, without the newline at its end. False, and text "", if
 * that fails.
 */
bool doctor_read(const char *path, char *text, size_t size);

#endif
