"""Dashboard, Help, health check, static files and security headers."""
