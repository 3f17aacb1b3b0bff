"""How good a run is and how sure that is: places, metrics, comparisons, groups, pictures."""
