"""What was promised, what was found, and whether that will do."""

import sys

from . import report


class Verdicts:
    """One line for each promise; the command ends with 1 where one was missed."""

    def __init__(self):
        self._rows, self.missed = [], []

    def at_most(self, promise, bound, found, unit="", digits=1):
        self.judge(promise, f"≤ {bound:g}{unit}", f"{found:.{digits}f}{unit}", found <= bound)

    def at_least(self, promise, bound, found, unit="", digits=1):
        self.judge(promise, f"≥ {bound:g}{unit}", f"{found:.{digits}f}{unit}", found >= bound)

    def judge(self, promise, wanted, found, reached):
        self._rows.append([promise, wanted, found, "reached" if reached else "**MISSED**"])
        if not reached:
            self.missed.append(f"{promise}: {found}, {wanted} promised")

    def table(self):
        """Markdown of what was judged since the last call; empty where nothing was."""
        rows, self._rows = self._rows, []
        return "\n" + report.table(["promised", "bound", "found", "verdict"], rows) if rows else ""

    def end(self):
        if self.missed:
            sys.exit("\n".join(["missed:", *self.missed]))
