"""What is said of the network beside the certificates: its manifest and its audit."""

from __future__ import annotations

from pathlib import Path

from deel_seg._parts import whole
from deel_seg.export import CertifiedPredictor
from deel_seg.lipschitz import audit

MANIFEST, AUDIT = "manifest.json", "audit.json"


def write_statement(predictor: CertifiedPredictor, folder: Path) -> None:
    """Writes `manifest.json` and `audit.json`, if they are not there.

    The audit is that of the network out of Keras' own layers, with whose weights the certificates
    are proved.
    """
    texts = {
        MANIFEST: predictor.manifest.to_json,
        AUDIT: lambda: audit(predictor.network, verbose=0).to_json(),
    }
    for name, text in texts.items():
        if not (folder / name).exists():
            with whole(folder / name) as file:
                file.write(text().encode())
