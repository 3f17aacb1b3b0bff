"""The dashboard: a Flask app factory, one blueprint an area."""
