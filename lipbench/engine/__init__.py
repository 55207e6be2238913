"""What runs a benchmark: configuration, plan, runner, workers and executors."""
