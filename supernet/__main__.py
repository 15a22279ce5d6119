"""`python -m supernet` is the same as `supernet`."""

from supernet.cli.main import main

main()
