"""Step five, reconcile: deletes rows that the source no longer has, by key_sync or in a repair."""
