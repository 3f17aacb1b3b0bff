"""cikg: a graph-database platform for recommendations that people can read, question and correct."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("cikg")
except PackageNotFoundError:  # a checkout that was never installed
    __version__ = "0+unknown"
