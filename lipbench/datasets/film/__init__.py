"""From a film to a manifest: its shots, its people, its dubs."""
