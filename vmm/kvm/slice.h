/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Longer time slices for a thread whose guest's ring 0 is emulated.
 *
 * There every timer interrupt of a guest that had to wait for a processor costs milliseconds, which
 * is longer than the slices that a busy host deals out: the guest would do nothing but take its
 * ticks. With a longer slice the thread gets no more of the processor, but all of it at a time.
 */
#ifndef CORDON_KVM_SLICE_H
#define CORDON_KVM_SLICE_H

/* For the calling thread. Hosts before Linux 6.12 ignore it; what fails is left as it was. */
void slice_lengthen(void);

#endif
