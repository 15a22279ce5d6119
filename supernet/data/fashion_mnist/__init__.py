"""The embedded images; README.md says where they come from and how they were cut."""
