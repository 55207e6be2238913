"""Text -> phonemes with times -> audio."""
