# SPDX-License-Identifier: Apache-2.0
def groups(_bench, _options):
    return []
