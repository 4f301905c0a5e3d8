"""Where real data sets are: DEEL_SEG_DATA, or else shared/data beside the repository."""

from __future__ import annotations

import os
from pathlib import Path

_BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"


def real_data_folder() -> Path | None:
    """The folder that holds `camvid`, `pets`, `kvasir`, ...; None where there is none."""
    named = os.environ.get("DEEL_SEG_DATA")
    folder = Path(named) if named else _BESIDE
    return folder if folder.is_dir() else None


def real_data_set(name: str) -> Path | None:
    """The folder of one data set; None where it is not there."""
    folder = real_data_folder()
    return folder / name if folder and (folder / name).is_dir() else None
