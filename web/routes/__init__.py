"""One blueprint a file; web/app.py lists them."""
