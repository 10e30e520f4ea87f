"""What is unusual in a series: detectors, scores and change points on arrays."""
