#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# In the lab: boots with 8 processors repeatedly, and keeps KVM's trace of a boot that fails.
#
#   tests/lab/run.sh --timeout 7200 --results DIR -- tests/lab/processors.sh [COUNT [CORDON]]
#
# DIR/log has one line per boot; DIR/trace.N the exits, interrupts between processors and returns to the
# monitor of boot N, DIR/err.N what cordon said, DIR/dmesg.N the end of L1's messages.
set -u
count=${1:-100}
cordon=${2:-build/cordon}
trace=/sys/kernel/tracing
out=${LAB_RESULTS:?give run.sh --results DIR}
mount -t tracefs none $trace 2>/dev/null
echo 4096 >$trace/buffer_size_kb
for event in kvm_exit kvm_inj_exception kvm_userspace_exit kvm_apic_ipi kvm_page_fault; do
	echo 1 >$trace/events/kvm/$event/enable
done
scratch=$(mktemp -d) || exit 1
boot=0
failed=0
while [ "$boot" -lt "$count" ]; do
	boot=$((boot + 1))
	echo >$trace/trace
	echo 1 >$trace/tracing_on
	"$cordon" run --cold --cpus 8 -v -- nproc >"$scratch/out" 2>"$scratch/err"
	status=$?
	echo 0 >$trace/tracing_on
	echo "$boot status $status, processors $(cat "$scratch/out")" | tee -a "$out/log"
	[ "$status" -ne 0 ] || [ "$(cat "$scratch/out")" != 8 ] || continue
	failed=$((failed + 1))
	cp "$scratch/err" "$out/err.$boot"
	cat $trace/trace >"$out/trace.$boot"
	dmesg | tail -n 50 >"$out/dmesg.$boot"
done
rm -rf "$scratch"
echo "$count boots, $failed failed" | tee -a "$out/log"
[ "$failed" -eq 0 ]
