"""
How a backup begins and ceases to exist, in a directory and in a store; knows nothing of what is in it.

Import `places`; the others are its two ways.
"""
