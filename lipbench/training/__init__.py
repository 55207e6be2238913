"""`lipbench train`: what makes the networks that the package carries. No product module imports this.

Which trainer makes what stands under TRAINERS in the `spec` module beside the network that it trains.
"""
