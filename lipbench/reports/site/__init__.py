"""A leaderboard of many runs as static pages: one for each data set and method, everything made from the records.

write(run_dirs, out)    index.html, dataset/, method/, runs/ (the records that every number is made from)
"""

from lipbench.reports.site.pages import Site, write

__all__ = ["Site", "write"]
