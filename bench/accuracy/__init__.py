"""``make bench-accuracy``: "auto" beside the bare libraries and published figures."""
