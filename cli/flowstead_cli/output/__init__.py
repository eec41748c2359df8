"""What commands print: lines and steps, tables, and the live tail of a flow run.

Results go to standard output; colour and redrawing only to a terminal.
"""
