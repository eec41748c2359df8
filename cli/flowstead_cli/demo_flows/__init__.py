"""The flows that `prefect demo` registers.  Ordinary flow files, written as users write them."""
