"""Manifests from the folders of public data sets, as their users have them. Nothing is downloaded."""
