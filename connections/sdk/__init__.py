"""The SDK for connectors: protocols, errors, types, manifest. No Django."""
