# SPDX-License-Identifier: Apache-2.0
"""Tests that must fail, isolated as the integration tests are; ../test_isolation.py and ../test_report.py run them."""
from isolation import pytest_pyfunc_call, room  # noqa: F401
