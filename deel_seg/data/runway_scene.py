"""A runway and the land around it, seen from an aircraft on its approach."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from deel_seg.data.drawn import colour_of, waves

# Lengths on the ground are in runway widths, those in the image in its shorter side.
_FIELDS = 8  # The colours of fields repeat after so many of them.


class Scene:
    """A scene, drawn from far to near and from the ground up.

    The camera looks along the runway's axis. A point of the ground `across` to the right of it and
    `ahead` of the camera is seen `focal * across / ahead` to the right of the vanishing point, and
    `focal * height / ahead` below the horizon.

    Args:
        random: What the scene is drawn from.
        height: Rows of the image.
        width: Columns.
    """

    def __init__(self, random: np.random.Generator, height: int, width: int) -> None:
        self.random = random
        self.rows, self.columns = np.mgrid[:height, :width].astype(np.float32)
        self._look(height, width)
        inside = (self.along >= 0) & (self.along <= random.uniform(20.0, 60.0))
        self.runway: NDArray[np.bool_] = inside & (abs(self.across) <= 0.5) & (self.down > 0)

    def _look(self, height: int, width: int) -> None:
        """Where each pixel meets the ground."""
        random = self.random
        apparent_width = random.uniform(0.22, 0.5)  # of the threshold, in the image
        altitude = min(random.uniform(0.8, 2.2), 0.85 / apparent_width)
        distance = altitude / random.uniform(0.045, 0.09)  # 2.6 to 5.1 degrees
        offset, roll = random.uniform(-0.7, 0.7), math.radians(random.uniform(-12.0, 12.0))
        threshold_x, threshold_y = random.uniform(-0.2, 0.2), random.uniform(0.15, 0.45)

        side = min(height, width)
        right = (self.columns + 0.5 - width / 2) / side
        low = (self.rows + 0.5 - height / 2) / side
        level_right = math.cos(roll) * right + math.sin(roll) * low
        level_low = math.cos(roll) * low - math.sin(roll) * right
        self.down = level_low - (threshold_y - apparent_width * altitude)
        focal = apparent_width * distance
        ahead = focal * altitude / np.maximum(self.down, 1e-3)
        self.across = (level_right - threshold_x + apparent_width * offset) * ahead / focal - offset
        self.along = ahead - distance  # 0 at the threshold
        self.ahead = ahead

    def photographed(self) -> NDArray:
        """The image, float32 `(height, width, 3)`; a little of it may lie outside [0, 1]."""
        random = self.random
        horizon_colour = colour_of(random.uniform(0.5, 0.65), random.uniform(0.0, 0.25), 0.9)
        image = self._land()
        self._roads(image)
        self._tarmac(image)
        haze = np.exp(-self.ahead / random.uniform(80.0, 400.0))[..., None]
        image = haze * image + (1.0 - haze) * horizon_colour
        image = np.where(self.down[..., None] > 0, image, self._sky(horizon_colour))
        shade = 1.0 + random.uniform(0.0, 0.15) * waves(random, self.rows, self.columns, (0.3, 1.5))
        light = random.uniform(0.7, 1.15) * random.uniform(0.94, 1.06, 3)
        image = np.clip(image * shade[..., None] * light, 0.0, 1.0) ** random.uniform(0.8, 1.25)
        return image + random.normal(0.0, random.uniform(0.01, 0.03), image.shape)

    def _sky(self, horizon_colour: NDArray) -> NDArray:
        random = self.random
        zenith = colour_of(random.uniform(0.55, 0.65), random.uniform(0.1, 0.6), 0.85)
        up = np.clip(-self.down / 0.6, 0.0, 1.0)[..., None]
        clouds = random.uniform(0.0, 0.05) * waves(random, 3 * self.rows, self.columns, (0.5, 3.0))
        return (1.0 - up) * horizon_colour + up * zenith + clouds[..., None]

    def _land(self) -> NDArray:
        """Fields of several colours."""
        random = self.random
        angle = random.uniform(0.0, math.pi)
        axes = self._turned(angle), self._turned(angle + math.pi / 2)
        cells = [
            np.floor(axis / random.uniform(3.0, 12.0)).astype(np.int64) % _FIELDS for axis in axes
        ]
        hues = random.normal(random.uniform(0.1, 0.32), 0.04, (_FIELDS, _FIELDS))
        pale, values = (
            random.uniform(0.25, 0.65, hues.shape),
            random.uniform(0.2, 0.5, hues.shape),
        )
        table = np.stack(
            [colour_of(*of) for of in zip(hues.flat, pale.flat, values.flat, strict=True)]
        )
        image = table[_FIELDS * cells[0] + cells[1]]
        for _ in range(3):
            grain = random.uniform(0.01, 0.03) * waves(random, self.rows, self.columns, (2.0, 12.0))
            image = image + grain[..., None]
        return image

    def _roads(self, image: NDArray) -> None:
        """Straight roads across the land."""
        random = self.random
        for _ in range(random.integers(0, 5)):
            beside = self._turned(random.uniform(0.0, math.pi)) - random.uniform(-12.0, 12.0)
            image[abs(beside) < random.uniform(0.08, 0.25)] = self._grey()

    def _tarmac(self, image: NDArray) -> None:
        """Aprons, a taxiway beside the runway, and the runway."""
        random = self.random
        surface, side = self._grey(), random.choice([-1.0, 1.0])
        for _ in range(random.integers(0, 3)):
            middle = side * random.uniform(3.0, 8.0), random.uniform(0.0, 20.0)
            apart = abs(self.across - middle[0]), abs(self.along - middle[1])
            apron = (apart[0] < random.uniform(0.5, 2.0)) & (apart[1] < random.uniform(0.5, 4.0))
            image[apron] = surface
        if random.uniform() < 0.6:
            away = side * self.across - random.uniform(1.2, 3.0)
            image[(abs(away) < random.uniform(0.15, 0.35)) & (self.along > -3.0)] = surface
        image[self.runway] = surface
        rubber = np.exp(-((self.across / 0.2) ** 2) - ((self.along - 8.0) / 6.0) ** 2)
        image -= (random.uniform(0.0, 0.2) * rubber * self.runway)[..., None]
        paint = random.uniform(0.1, 1.0) * (self._markings() & self.runway)[..., None]
        image += paint * (random.uniform(0.75, 0.95) - image)

    def _markings(self) -> NDArray[np.bool_]:
        """Centre line, edges, threshold bars and aiming points."""
        away, along = abs(self.across), self.along
        centre = (away < 0.02) & (along % 1.1 < 0.65) & (along > 1.2)
        edges = (away > 0.45) & (away < 0.49)
        bars = (along > 0.1) & (along < 0.9) & (away < 0.43) & (away % 0.1 > 0.05)
        aiming = (along > 6.0) & (along < 7.4) & (away > 0.14) & (away < 0.28)
        return centre | edges | bars | aiming

    def _turned(self, angle: float) -> NDArray:
        """A coordinate of the ground in another direction, from the threshold."""
        return math.cos(angle) * self.across + math.sin(angle) * self.along

    def _grey(self) -> NDArray:
        random = self.random
        return colour_of(random.uniform(), random.uniform(0.0, 0.1), random.uniform(0.35, 0.8))
