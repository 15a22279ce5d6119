"""What runs on a device: Python 3.8, NumPy and a runtime, nothing else.

These files are shipped inside every kit as they are, and measure the library's own
tables too: one measuring code everywhere. They import the standard library, NumPy,
`supernet.errors` and `supernet.latency.backends`, which are shipped beside them, and
use no syntax or type newer than Python 3.8; a test holds both.
"""
