"""Networks with their certificates, written for other programs."""

from deel_seg.export.from_model import certified_predictor
from deel_seg.export.loading import load_predictor, verify_folder
from deel_seg.export.manifest import Manifest, RefusedArtefact
from deel_seg.export.portable import portable_certificate
from deel_seg.export.predictor import CertifiedPredictor

__all__ = [
    "CertifiedPredictor",
    "Manifest",
    "RefusedArtefact",
    "certified_predictor",
    "load_predictor",
    "portable_certificate",
    "verify_folder",
]
