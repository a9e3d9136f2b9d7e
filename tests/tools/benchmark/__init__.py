"""A package, since some of its tests are named as those of other folders are."""
