"""Folders of pictures, certified file by file."""

from deel_seg.folders.certify_folder import certify_folder
from deel_seg.folders.network import RefusedModel, open_network, open_predictor
from deel_seg.folders.results import FolderCertificates

__all__ = ["FolderCertificates", "RefusedModel", "certify_folder", "open_network", "open_predictor"]
