"""The latency tables shipped with the library, one JSON file each, and how they were made."""
