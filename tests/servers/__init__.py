"""Private servers for the tests: PostgreSQL, RabbitMQ, Redis and Chromium."""
