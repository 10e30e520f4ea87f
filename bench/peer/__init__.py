"""What many would write by hand instead of Forebay: Flask, ``delay``, Redis."""
