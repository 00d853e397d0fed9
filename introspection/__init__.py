"""What a source contains (to come)."""
