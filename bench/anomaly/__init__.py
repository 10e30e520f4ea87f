"""``make bench-anomaly``: our analysis beside simple baselines and cheap opponents."""
