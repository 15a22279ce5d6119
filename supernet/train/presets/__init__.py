"""The training recipes shipped with the library, one YAML file each."""
