"""One file each; `supernet.search.registry` lists them."""
