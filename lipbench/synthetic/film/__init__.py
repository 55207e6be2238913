"""Films whose truth is known, for measuring what is found in them."""
