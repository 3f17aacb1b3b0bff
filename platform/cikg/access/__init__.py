"""Who may use the platform: accounts with roles, tokens, sessions, and the log of what they changed."""
