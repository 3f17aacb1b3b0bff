"""What pages and the API are made of: one module a concern, for both to call. Nothing here answers a request itself."""
