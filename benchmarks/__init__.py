"""Speed of the package, side by side with its peers; results lie in ``benchmarks/results``."""
