"""All experiments, in the order in which they are run."""

from __future__ import annotations

from benchmarks.paper.every_attack import EXPERIMENT as EVERY_ATTACK
from benchmarks.paper.experiment import Experiment
from benchmarks.paper.figure_2 import EXPERIMENT as FIGURE_2
from benchmarks.paper.figure_3 import EXPERIMENT as FIGURE_3
from benchmarks.paper.figure_5 import EXPERIMENT as FIGURE_5
from benchmarks.paper.pictures import EXPERIMENT as PICTURES
from benchmarks.paper.pictures_runway import EXPERIMENT as PICTURES_RUNWAY
from benchmarks.paper.runway import EXPERIMENT as RUNWAY
from benchmarks.paper.table_1 import EXPERIMENT as TABLE_1
from benchmarks.paper.table_2 import EXPERIMENT as TABLE_2
from benchmarks.paper.table_3 import EXPERIMENT as TABLE_3
from benchmarks.paper.table_4 import EXPERIMENT as TABLE_4
from benchmarks.paper.table_5 import EXPERIMENT as TABLE_5

EXPERIMENTS: dict[str, Experiment] = {
    experiment.name: experiment
    for experiment in (
        TABLE_1,
        FIGURE_2,
        FIGURE_3,
        TABLE_2,
        TABLE_3,
        TABLE_4,
        FIGURE_5,
        TABLE_5,
        PICTURES,
        RUNWAY,
        PICTURES_RUNWAY,
        EVERY_ATTACK,
    )
}
