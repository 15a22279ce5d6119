"""What the commands do, as functions.

From images to a trained supernet, from there to the best subnet for targets, from there to
a file that runs on them. Import from the modules: each brings only what it needs.
"""
