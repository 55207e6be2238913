"""Has the code of a metric changed? Small pairs of videos, made from integers, and the numbers they once got.

Without this a closed gate would not say whether the method got worse or the ruler changed its length.
"""
