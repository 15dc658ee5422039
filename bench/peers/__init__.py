# SPDX-License-Identifier: Apache-2.0
"""Programs that Cordon is compared with, one file each. suites/peers.py lists and runs them."""
