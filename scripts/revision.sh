#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints the revision of this source tree; with --time, the time of its commit in seconds since 1970.
#
# In a checkout git tells both; in a tree from `git archive` they stand below. CORDON_REVISION and
# SOURCE_DATE_EPOCH override them. Without all of these: "unknown" and 0.
set -eu
cd "$(dirname "$0")/.."

# git archive fills these in (.gitattributes).
archived_revision='$Format:%H$'
archived_time='$Format:%ct$'

# No write to the index: a build can run beside another git command. .git is tested because git would
# otherwise describe a repository that this tree merely lies in.
git_here() { [ -e .git ] && GIT_OPTIONAL_LOCKS=0 git "$@" 2>/dev/null; }

case "${1:-}" in
"")
	revision=${CORDON_REVISION:-}
	[ -n "$revision" ] || revision=$(git_here describe --always --abbrev=12 --dirty) ||
		case "$archived_revision" in
		*Format*) revision=unknown ;;
		*) revision=$(printf %.12s "$archived_revision") ;;
		esac
	echo "$revision"
	;;
--time)
	time=${SOURCE_DATE_EPOCH:-}
	[ -n "$time" ] || time=$(git_here log -1 --format=%ct) ||
		case "$archived_time" in
		*Format*) time=0 ;;
		*) time=$archived_time ;;
		esac
	echo "$time"
	;;
*)
	echo "usage: revision.sh [--time]" >&2
	exit 2
	;;
esac
