"""The ground floor: errors, keys, store, provenance, registry, media, weights and the Method and Metric protocols.

Imports nothing else of lipbench.
"""
