"""Wiring of the plugin's tests: projects that a scripted model answers in."""

from fixtures.projects import project

__all__ = ["project"]
