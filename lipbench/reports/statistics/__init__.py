"""Statistics of a benchmark: the clip is the unit, everything is paired over clips, everything is seeded.

    paired(differences)                 mean, t interval, exact sign-flip p, BCa from 20 clips on, detectable effect
    mean_interval(values)               t interval of a mean over clips (bands of curves)
    holm(p)                             p-values corrected for several metrics or methods
    joint_p(rows)                       one exact test for several metrics over the same clips, correlation used
    not_worse_than_best(values, better) the methods that a table may mark
    clip_series(run), seed_spread(run)  a run's numbers per clip, and how far its seeds lie apart

Why so: resampling (clip, language) rows covers 62 to 70 % at a nominal 95 %; over clip means the t interval holds 95 %
from 4 clips on, a bootstrap only from about 20 on. `python -m tools.coverage_intervals` measures it again.
"""

from lipbench.reports.statistics.clips import ClipSeries, Spread, clip_series, longest, magnitudes, seed_spread
from lipbench.reports.statistics.estimates import (
    Interval,
    PairedEstimate,
    bca_interval,
    differences,
    mean_interval,
    not_worse_than_best,
    paired,
    worsening,
)
from lipbench.reports.statistics.hypotheses import (
    EXACT_CLIPS,
    clips_needed,
    holm,
    minimum_detectable,
    power,
    sign_flip,
    smallest_p,
    t_test,
)
from lipbench.reports.statistics.joint import EXACT_JOINT_CLIPS, joint_p

__all__ = [
    "EXACT_CLIPS",
    "EXACT_JOINT_CLIPS",
    "ClipSeries",
    "Interval",
    "PairedEstimate",
    "Spread",
    "bca_interval",
    "clip_series",
    "clips_needed",
    "differences",
    "holm",
    "joint_p",
    "longest",
    "magnitudes",
    "mean_interval",
    "minimum_detectable",
    "not_worse_than_best",
    "paired",
    "power",
    "seed_spread",
    "sign_flip",
    "smallest_p",
    "t_test",
    "worsening",
]
