"""Reading the outside world: connectors that plan, fetch and parse; no database."""
