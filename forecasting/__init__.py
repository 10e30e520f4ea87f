"""Forecasts of one series: pure models, losses, backtests and intervals."""
