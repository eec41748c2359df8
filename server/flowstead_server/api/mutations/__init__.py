"""Mutations, one module per noun: input in, verb of `orchestration`, payload out.

Nothing is decided here. A verb's expected failure leaves as it is and is put on the wire by `api.errors`.
"""
