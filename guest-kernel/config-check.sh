#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Checks a kernel's configuration: exits with 1, after one line, if an option of config-off is on.
#
#   config-check.sh CONFIG [SOURCE]   CONFIG: a .config; SOURCE: the kernel's tree, whose Kconfig files
#                                     must have every listed option: a misspelt one would never be on
# Environment: CONFIG_OFF, the list (default: config-off beside this script)
set -eu

off=${CONFIG_OFF:-$(dirname "$0")/config-off}
source=${2:-}
[ -r "$1" ] || {
	echo "guest-kernel: can't read $1" >&2
	exit 1
}
[ -r "$off" ] || {
	echo "guest-kernel: can't read $off" >&2
	exit 1
}
awk -v config="$1" -v name="$(basename "$off")" '
	/^#/ || NF == 0 { next }
	$1 !~ /^CONFIG_[A-Z0-9_]+$/ || (NF < 2) {
		bad = "guest-kernel: " name ":" FNR ": want CONFIG_OPTION and a reason"
		exit
	}
	{ must[$1] = $0 }
	END {
		while (!bad && (getline line < config) > 0) {
			split(line, kv, "=")
			if (kv[1] in must) {
				reason = must[kv[1]]
				sub(/^[^ \t]+[ \t]+/, "", reason)
				on = on (on ? "; " : "") kv[1] " (" reason ")"
			}
		}
		if (on)
			bad = "guest-kernel: options that must be off (" name ") are on: " on
		if (bad) {
			print bad > "/dev/stderr"
			exit 1
		}
	}' "$off"
[ -n "$source" ] || exit 0
find "$source" -name 'Kconfig*' -type f -exec cat {} + | awk -v list="$off" -v name="$(basename "$off")" '
	$1 == "config" || $1 == "menuconfig" { known["CONFIG_" $2] = 1 }
	END {
		while ((getline line < list) > 0) {
			split(line, w, " ")
			if (w[1] ~ /^CONFIG_/ && !(w[1] in known))
				unknown = unknown " " w[1]
		}
		if (unknown) {
			print "guest-kernel: " name ": no such option:" unknown > "/dev/stderr"
			exit 1
		}
	}'
