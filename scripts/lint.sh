#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# All static checks: `make lint`. Each step prints what it finds; the last line names the steps
# that found something, and the exit status is then 1.
#
# LINT_BUILD=build: compile in the directory of `make check`, which also sets -Werror.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${LINT_BUILD:-build/lint}
jobs=$(nproc)
failed=""

step() { # NAME COMMAND...
	local name=$1
	shift
	"$@" || failed="$failed $name"
}

missing=""
for tool in clang-format clang-tidy cppcheck codespell shellcheck pyflakes3; do
	command -v "$tool" >/dev/null || missing="$missing $tool"
done
if [ -n "$missing" ]; then
	echo "lint: not installed:$missing; 'make deps' installs what is missing" >&2
	exit 1
fi

mapfile -t c_files < <(git ls-files '*.c' '*.h')
mapfile -t python_files < <(git ls-files '*.py')
mapfile -t shell_files < <(git ls-files '*.bash'
	git grep -lE '^#!.*\<(ba)?sh\>' -- . ':!*.patch' ':!*.md')
# Recorded bytes are not prose, and patches quote the kernel's.
mapfile -t prose_files < <(git ls-files -- . ':!tests/fuzz/corpus' ':!tests/fuzz/crashes' ':!*.patch')

format() { clang-format --dry-run --Werror "${c_files[@]}" || { echo "lint: run 'make format'" && false; }; }

# -Werror, then clang-tidy: .clang-tidy says why each check is used. Both redo changed files only.
compile() { make -s --no-print-directory -j"$jobs" WERROR=1 BUILD="$build" objects; }
tidy() { make -sk --no-print-directory -j"$jobs" BUILD="$build" tidy; }

# Includes of the system are not followed: too slow, and no better.
c_check() {
	cppcheck -j"$jobs" --quiet --std=c11 --enable=warning,performance,portability --inline-suppr \
		--suppress=missingIncludeSystem --error-exitcode=1 -I. -D_GNU_SOURCE \
		-DCORDON_VERSION='""' vmm devices boot guest-kernel/agent guest-kernel/program tests bench
}

# Words that are right here: passt is a program, .Nd is mdoc's, doas a command; the rest are names and
# deliberate misspellings in tests.
spelling() {
	codespell -L passt,nd,doas,ect,ue,noone,chek,alow,allowes,proceses "${prose_files[@]}"
}

# pyflakes has no mark for an import on purpose: ours is flake8's `# noqa`.
python_check() {
	local found=0 file line rest
	while IFS=: read -r file line rest; do
		sed -n "${line}p" "$file" | grep -q '# noqa' && continue
		echo "$file:$line:$rest"
		found=1
	done < <(pyflakes3 "${python_files[@]}" 2>&1)
	return "$found"
}

# Nouns instead of these pronouns (CONTRIBUTING.md, English). Only the Unix user nobody may stand.
words() {
	local found
	found=$(git grep -nwE 'whoever|somebody|nobody' -- . ':!tests/fuzz/corpus' ':!tests/fuzz/crashes' |
		grep -vE 'user nobody|65534|`nobody`|"nobody"|^scripts/lint.sh')
	[ -z "$found" ] || { echo "$found" && false; }
}

# Every file has fewer than 450 lines.
sizes() {
	local file lines found=0
	for file in "${c_files[@]}" "${python_files[@]}"; do
		lines=$(wc -l <"$file")
		[ "$lines" -lt 450 ] || { echo "$file: $lines lines, not fewer than 450" && found=1; }
	done
	return "$found"
}

step format format
step words words
step sizes sizes
step includes scripts/check-includes.py
step includes-self-test scripts/check-includes.py --self-test
step spelling spelling
# SC2016 doubts each $ in single quotes, where inner shells and git take it.
step shellcheck shellcheck -S style -e SC2016 "${shell_files[@]}"
step python python_check
step compile compile
step clang-tidy tidy
step cppcheck c_check
if [ -n "$failed" ]; then
	echo "lint: failed:$failed" >&2
	exit 1
fi
echo "lint: clean"
