"""The studies that come with balora, and the profiles that they share."""

from __future__ import annotations

from balora.recipe.catalogue import Catalogue

STUDIES = Catalogue("study", "balora.study", "balora study list")
PROFILES = Catalogue("profile", "balora.study", folder="shipped/profiles")
"""`like: NAME` in any study or profile starts from one of these."""
