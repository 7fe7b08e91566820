"""`python -m bench`: what is measured, on this machine, with the product as it is served."""
