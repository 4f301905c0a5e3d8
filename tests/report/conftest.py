"""One certified folder for all tests of reports: to certify takes longer than all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.report.certified import certify


@pytest.fixture(scope="session")
def certified_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certify(tmp_path_factory.mktemp("certified"))
