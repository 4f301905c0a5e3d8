"""Writes the tables of docs/attacks.md from what the benchmarks of attacks wrote.

python benchmarks/report_attacks.py            writes them, between their marks
python benchmarks/report_attacks.py --check    fails if they are not what the files give
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks import pages  # noqa: E402
from benchmarks.report import table  # noqa: E402
from benchmarks.trainings import TITLES  # noqa: E402

RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "attacks.md"
PART = pages.Part("tables", "benchmarks/report_attacks.py")
SUITE, OURS = "suite", "boundary loss"


def percent(values: list[float]) -> str:
    """Mean of shares, in percent."""
    return f"{100 * sum(values) / len(values):.2f}"


def worst_beaten(found: dict[str, Any], other: dict[str, Any]) -> list[str]:
    """Attacks that leave less than the suite on average, at some budget: there should be none."""
    beaten = set()
    for eps, attacks in other.items():
        suite = found["attacks"][eps][SUITE]["accuracy"]
        for name, attack in attacks.items():
            if sum(attack["accuracy"]) < sum(suite):
                beaten.add(f"{name} at {eps}")
    return sorted(beaten)


def rows_of(attacks: dict[str, Any], names: list[str]) -> list[list[str]]:
    """A row an attack, a column a budget."""
    return [
        [name, *(percent(at_eps[name]["accuracy"]) for at_eps in attacks.values())]
        for name in names
    ]


def verdict(found: dict[str, Any], others: dict[str, Any]) -> str:
    """Whether the suite leaves less than all others."""
    beaten = worst_beaten(found, others)
    if not beaten:
        return "The suite leaves less than every published attack, at every budget."
    return f"The suite leaves more than {', '.join(beaten)}."


def of_library(name: str, found: dict[str, Any]) -> str:
    """The library's attacks on one network."""
    attacks, eps = found["attacks"], [f"eps {each:g}" for each in found["settings"]["eps"]]
    names = list(next(iter(attacks.values())))
    published = [each for each in names if each != SUITE and OURS not in each]
    ours = [each for each in names if OURS in each]
    crpa = [percent(values) for values in found["crpa"]]
    rows = [
        *rows_of(attacks, published),
        *rows_of(attacks, ours),
        ["**strong suite**", *(f"**{row}**" for row in rows_of(attacks, [SUITE])[0][1:])],
        ["CRPA: no attack can leave less", *crpa],
    ]
    only_published = {
        budget: {each: at_eps[each] for each in published} for budget, at_eps in attacks.items()
    }
    size = "x".join(map(str, found["size"]))
    gradients = max(each["gradients"] for at_eps in attacks.values() for each in at_eps.values())
    images = f"{found['settings']['images']} test images of {size}"
    return f"""**{TITLES[name]}**: accuracy left, %, on average over {images},
{percent(found["clean"])} % before; {gradients} gradients an image at each budget.

{table(["attack", *eps], rows)}

{verdict(found, only_published)} (`{found["command"]}`)"""


def first_images(attacks: dict[str, Any], count: int) -> dict[str, Any]:
    """What was found of the first images alone."""
    return {
        eps: {name: {"accuracy": found["accuracy"][:count]} for name, found in at_eps.items()}
        for eps, at_eps in attacks.items()
    }


def of_package(name: str, found: dict[str, Any], library: dict[str, Any]) -> str:
    """The attacks of adv-lib on the same network."""
    attacks, eps = found["attacks"], [f"eps {each:g}" for each in library["settings"]["eps"]]
    count, clean = found["images"], percent(library["clean"][: found["images"]])
    images = "those images" if count == len(library["clean"]) else f"the first {count} of those"
    ours = {"attacks": first_images(library["attacks"], count)}
    crpa = [percent(values[:count]) for values in library["crpa"]]
    rows = [
        *rows_of(attacks, list(next(iter(attacks.values())))),
        ["**strong suite**", *(f"**{row}**" for row in rows_of(ours["attacks"], [SUITE])[0][1:])],
        ["CRPA: no attack can leave less", *crpa],
    ]
    return f"""**{TITLES[name]}**, with adv-lib {found["adv-lib"]} on PyTorch {found["torch"]}:
accuracy left, %, on average over {images}, {clean} % before. The logits of the two networks are at
most {found["difference"]:.0e} apart.

{table(["attack of adv-lib", *eps], rows)}

{verdict(ours, attacks)} (`{found["command"]}`)"""


def tables(library: dict[str, Any], package: dict[str, Any]) -> str:
    """All tables that there are figures for."""
    networks = library.get("networks", {})
    parts = [of_library(name, found) for name, found in networks.items()]
    parts += [
        of_package(name, found, networks[name])
        for name, found in package.get("networks", {}).items()
    ]
    machine = library["machine"]
    return "\n\n".join([*parts, f"{machine['device']}, {machine['cores']} cores."])


def page(text: str) -> str:
    """The page with the tables of the files that there are."""
    files = [RESULTS / "attacks.json", RESULTS / "adv_lib.json"]
    library, package = (json.loads(f.read_text()) if f.exists() else {} for f in files)
    return PART.replaced(text, tables(library, package))


if __name__ == "__main__":
    pages.main(PAGE, page, __doc__)
