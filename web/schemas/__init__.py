"""The shapes of HTTP bodies and queries; the OpenAPI document is made from them."""
