"""One file a format; listed in `supernet.export.registry`."""
