"""The dashboard: a Flask app factory, one blueprint an area."""

from web.app import create_app

__all__ = ["create_app"]
