"""What a connector is made of: protocols, errors, types, manifest. No Django."""
