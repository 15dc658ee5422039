# SPDX-License-Identifier: Apache-2.0
"""Integration tests: each runs isolated (tests/isolation.py); the helper programs are built before the first one."""
import os

import cordon
import pytest
from isolation import pytest_pyfunc_call, room  # noqa: F401  (a hook and an autouse fixture)


def pytest_sessionstart(session):
    if not os.access(cordon.PROGRAM, os.X_OK) and not session.config.option.collectonly:
        pytest.exit(f"{cordon.PROGRAM} is missing: run make first", returncode=1)
    cordon.prepare()                        # also with --collect-only: the lab collects outside its machine first


@pytest.fixture(scope="session", autouse=True)
def helpers():
    cordon.prepare()
