"""What mutations take: one input type per mutation, named `<mutation>_input` as on the 1.x wire.

No member has a declared default value: absent and null mean the same unless its description says otherwise.
"""
