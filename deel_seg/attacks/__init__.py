"""Attacks in l2: how far the guarantees are from what the strongest of them do."""

from deel_seg.attacks.alma import ALMA
from deel_seg.attacks.alma_prox import ALMAProx
from deel_seg.attacks.apgd import APGD
from deel_seg.attacks.asma import ASMA
from deel_seg.attacks.attack import Attack, LossAttack
from deel_seg.attacks.contract import AttackResult
from deel_seg.attacks.dag import DAG
from deel_seg.attacks.ddn import DDN
from deel_seg.attacks.envelope import Envelope
from deel_seg.attacks.fmn import FMN
from deel_seg.attacks.goal import Goal, fabrication, targeted, untargeted, vanishing
from deel_seg.attacks.pdpgd import PDPGD
from deel_seg.attacks.pgd import PGD, CosPGD, SegPGD
from deel_seg.attacks.pixel_losses import Boundary
from deel_seg.attacks.suite import AttackSuite

__all__ = [
    "ALMA",
    "APGD",
    "ASMA",
    "DAG",
    "DDN",
    "FMN",
    "PDPGD",
    "PGD",
    "ALMAProx",
    "Attack",
    "AttackResult",
    "AttackSuite",
    "Boundary",
    "CosPGD",
    "Envelope",
    "Goal",
    "LossAttack",
    "SegPGD",
    "fabrication",
    "targeted",
    "untargeted",
    "vanishing",
]
