"""Runs the trainings that docs/results.md reports, one after the other; each can be resumed.

    python benchmarks/trainings.py                 all that have no result yet
    python benchmarks/trainings.py camvid_own      some of them

Real data is looked for in the folder that DEEL_SEG_DATA names. A run's files are in runs/NAME;
what the report needs of them is copied to benchmarks/results/NAME.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
OWN = {"widths": [32, 64, 128], "block": "residual", "residual_blocks": 3, "aspp_rates": [2, 4]}
LIGHT = {"crop_scale": [0.8, 1.0], "rotation": 2.0}

_CAMVID = "--data camvid --size 120 160 --temperature 40"
_PETS = "--data oxford_pets --size 128 128 --temperature 5"
_KVASIR = "--data kvasir --size 128 128 --temperature 5"
_OWN = f"--config '{json.dumps(OWN)}' --augmentation '{json.dumps(LIGHT)}'"
_TWIN = "--model DeepLabV3 --config S --learning-rate 1e-3 --temperature 1"
_LIGHT = f"--augmentation '{json.dumps(LIGHT)}'"

RUNS = {
    "camvid_own": f"{_CAMVID} {_OWN} --epochs 80",
    "camvid_s": f"{_CAMVID} --config S {_LIGHT} --epochs 100",
    "camvid_m1": f"--data camvid --size 64 80 --temperature 40 --config M1 {_LIGHT} --epochs 12",
    "camvid_twin": f"{_CAMVID} {_TWIN} {_LIGHT} --epochs 113",
    "pets_own": f"{_PETS} {_OWN} --epochs 20",
    "kvasir_own": f"{_KVASIR} {_OWN} --epochs 20",
}

TITLES = {
    "camvid_own": "CamVid, residual blocks",
    "camvid_s": "CamVid, the paper's S",
    "camvid_m1": "CamVid at 64x80, the paper's M1, trained briefly",
    "camvid_twin": "CamVid, unconstrained twin of S",
    "pets_own": "Pets, residual blocks",
    "kvasir_own": "Kvasir, residual blocks",
}


def command(name: str) -> list[str]:
    """The command of a run, as a user would type it."""
    return ["python", "examples/train.py", *shlex.split(RUNS[name]), "--out", f"runs/{name}"]


def main() -> None:
    """Trains what has no result yet."""
    for name in sys.argv[1:] or RUNS:
        target = RESULTS / name
        if (target / "results.json").exists():
            continue
        print(shlex.join(command(name)), flush=True)
        subprocess.run([sys.executable, *command(name)[1:]], cwd=ROOT, check=True)
        target.mkdir(parents=True, exist_ok=True)
        for file in ("results.json", "history.csv"):
            shutil.copy(ROOT / "runs" / name / file, target / file)


if __name__ == "__main__":
    main()
