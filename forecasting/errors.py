"""The two refusals of this room: a series nobody can forecast, a model that cannot."""


class InvalidSeries(ValueError):
    """The values, times or options cannot be forecast; the message says what to do."""


class ModelUnfit(ValueError):
    """One model cannot be fitted to this history; others may still be."""
