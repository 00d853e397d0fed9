"""Export and import of the configuration as YAML. The sections are registered by the apps."""
