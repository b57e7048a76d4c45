"""A measured figure: ours, the peer's of the same run, and their ratio against what was promised."""

import operator
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass

ALTERNATIONS = 5


@dataclass(frozen=True)
class Figure:
    """`target` reads like ">= 0.6" and speaks of the ratio, or without a baseline of the value."""

    name: str
    value: float
    unit: str
    baseline: float | None = None
    ratio: float | None = None
    target: str | None = None

    @property
    def holds(self) -> bool | None:
        if self.target is None:
            return None
        sign, bound = self.target.split()
        compare = {">=": operator.ge, "<=": operator.le, "<": operator.lt}[sign]
        return bool(compare(self.value if self.ratio is None else self.ratio, float(bound)))

    def as_dict(self) -> dict[str, object]:
        return {**asdict(self), "holds": self.holds}

    def line(self) -> str:
        against = f"{self.baseline:>12,.1f} {self.ratio:>6.2f}" if self.baseline and self.ratio else " " * 19
        verdict = {None: "", True: "holds", False: "MISSED"}[self.holds]
        value = f"{self.value:,.1f}" if self.value >= 1 or not self.value else f"{self.value:.3f}"
        return f"{self.name:58} {value:>12} {self.unit:6} {against}  {self.target or '':8} {verdict}"


def compared(name: str, unit: str, target: str, ours: Callable[[], float], peer: Callable[[], float]) -> Figure:
    """Medians of alternating runs; the ratio is the median of the pairs' own ratios, so drift cancels out."""
    pairs = [(ours(), peer()) for _ in range(ALTERNATIONS)]
    ratio = statistics.median(mine / theirs for mine, theirs in pairs)
    mine, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
    return Figure(name, round(mine, 2), unit, round(theirs, 2), round(ratio, 3), target)


def p99(waits: Sequence[float]) -> float:
    return statistics.quantiles(waits, n=100)[98]


def waits(name: str, ours: Sequence[float], theirs: Sequence[float] = ()) -> list[Figure]:
    """p50 and p99 of what was measured in seconds, against a peer's."""
    figures = []
    for place, quantile in ((50, "p50"), (99, "p99")):
        mine, its = (statistics.quantiles(side, n=100)[place - 1] * 1000 if side else None for side in (ours, theirs))
        assert mine is not None
        peer, ratio = (round(its, 2), round(mine / its, 2)) if its else (None, None)
        figures.append(Figure(f"{name}, {quantile}", round(mine, 2), "ms", peer, ratio))
    return figures


def table(figures: Iterable[Figure]) -> str:
    head = f"{'figure':58} {'ours':>12} {'':6} {'peer':>12} {'ratio':>6}  {'target':8}"
    return "\n".join([head, *(figure.line() for figure in figures)])
