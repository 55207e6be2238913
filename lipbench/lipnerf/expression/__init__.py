"""Which expressions drive a dub: smoothing, and the ways to get them (see `sources`)."""
