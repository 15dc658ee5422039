# SPDX-License-Identifier: Apache-2.0
"""How much data and how many operations a sandbox moves, and how long each takes."""

from suites import (throughput_disks, throughput_metal, throughput_net, throughput_policy, throughput_shares, throughput_streams,
                    throughput_work)

PARTS = (throughput_streams, throughput_disks, throughput_metal, throughput_shares, throughput_work, throughput_net,
         throughput_policy)


def groups(bench, options):
    return [group for part in PARTS for group in part.groups(bench, options)]
