# SPDX-License-Identifier: Apache-2.0
"""`cordon bench`: plan, samples, statistics, results and reports. The measurements are in suites/ and peers/."""
