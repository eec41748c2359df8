"""What the server does by itself, one file for each task over one loop base.

Every service may run in any number of server processes at once. A failed round is logged and the loop goes on.
"""
