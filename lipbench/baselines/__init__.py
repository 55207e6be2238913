"""Every method that is not LipNeRF: controls, precomputed and external ones, and one folder each for the rest."""
