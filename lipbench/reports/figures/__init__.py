"""Images for papers: methods as rows, moments as columns, sounds above them.

sheet(details, ...)   contact sheet, whole frames or mouths (the LipNeRF paper's Fig. 4 and 5)
blink(details, ...)   eyes around a blink of the source, variants as rows (its Fig. 8)
draw(sheet)           as a matplotlib figure; lipbench.reports.plots.save writes it
"""

from lipbench.reports.figures.choose import blink, sheet
from lipbench.reports.figures.draw import draw
from lipbench.reports.figures.moments import Moment
from lipbench.reports.figures.types import Sheet, SheetRow

__all__ = ["Moment", "Sheet", "SheetRow", "blink", "draw", "sheet"]
