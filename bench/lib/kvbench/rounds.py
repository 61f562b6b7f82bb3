"""Interleaved rounds: their order, what is compared within a round, medians over all of them."""

import statistics

RATIOS = ["p50", "p99"]  # latencies that are also told as a ratio to the ceiling's


def turned(present, number):
    """The order of a round: it turns by one each round, so that nobody always runs after the same one."""
    turn = number % len(present)
    return present[turn:] + present[:turn]


def add_ratio(runs, name, column, reference, *same):
    """Gives each run its column divided by that of the reference's run that agrees in the columns `same`."""
    references = {tuple(run[c] for c in same): run[column] for run in runs if run["contestant"] == reference}
    for run in runs:
        run[name] = run[column] / references[tuple(run[c] for c in same)]


def add_norms(runs, *same):
    """Gives each run its norm (its capacity over the ceiling's) and the ratios of its latencies to the ceiling's."""
    add_ratio(runs, "norm", "capacity", "ceiling", *same)
    for percentile in RATIOS:
        add_ratio(runs, f"{percentile}_ratio", percentile, "ceiling", *same)


def noise(runs):
    """A paragraph on what others did meanwhile."""
    foreign = [run["foreign_percent"] for run in runs]
    return (f"\nNoise: others used {statistics.median(foreign):.1f} % of the processors in the median run, "
            f"{max(foreign):.1f} % in the worst.\n")


class Medians:
    """Over the rounds: of the runs that agree in the columns named."""

    def __init__(self, runs, *columns):
        self._groups = {}
        for run in runs:
            self._groups.setdefault(tuple(run[c] for c in columns), []).append(run)

    def all(self, column, *which):
        return [run[column] for run in self._groups[which]]

    def of(self, column, *which):
        return statistics.median(self.all(column, *which))
