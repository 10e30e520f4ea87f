"""File formats: each cuts a stream into raw columns and judges no cell."""
