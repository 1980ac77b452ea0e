"""Other tools' results as evidence here: read into items, written as a project, kept in its store."""

from safemlrm.imports.items import Answered, Item, slug
from safemlrm.imports.project import project_files
from safemlrm.imports.storing import Kept, keep

__all__ = ["Answered", "Item", "Kept", "keep", "project_files", "slug"]
