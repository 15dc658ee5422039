# SPDX-License-Identifier: Apache-2.0
"""The measurements: each module has `groups(bench)`, which returns a list of Group."""
