"""One page about a run that a person can look at, without a network.

write(run_dir, out)                       a folder: index.html and media/
write(run_dir, out, single_file=True)     one file below a byte budget; says which videos it shrank or left out
"""

from lipbench.reports.html.page import ReportFile, write

__all__ = ["ReportFile", "write"]
