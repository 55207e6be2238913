"""Training the sync model on landmarks: generated speech and articulation, without images."""
