"""The HTTP door: requests become job rows, rows become answers and a live stream."""
