"""Chaos: faults by a seeded plan against a running platform, then an audit."""
