#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Formatting, include directions, static analysis of C, and of the shell scripts. Exits 1 if any
# of them finds something.
set -eu
cd "$(dirname "$0")/.."
status=0

sources=$(find vmm devices boot guest-kernel/agent tests bench \( -name '*.c' -o -name '*.h' \) | sort)
if ! clang-format --dry-run --Werror $sources; then
	echo "lint: formatting differs: run 'make format'" >&2
	status=1
fi
scripts/check-includes.py || status=1
scripts/check-includes.py --self-test || status=1
cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
	--suppress=missingIncludeSystem --error-exitcode=1 -I. -D_GNU_SOURCE \
	-DCORDON_VERSION='""' vmm devices boot guest-kernel/agent || status=1
if command -v shellcheck >/dev/null 2>&1; then
	git ls-files '*.sh' | xargs -r shellcheck -S warning || status=1
fi
[ "$status" -ne 0 ] || echo "lint: clean"
exit "$status"
