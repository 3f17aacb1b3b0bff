"""The pages, one module an area: dataclasses, loaders that fill them, views of at most 10 lines that render them.

A module defines `blueprint`, and `link` where the navigation leads to it.
"""
