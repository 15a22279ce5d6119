"""The search spaces shipped with the library, one YAML file each."""
