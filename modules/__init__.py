"""What to sync: modules, their groups, watermarks and hooks, their validation and history."""
