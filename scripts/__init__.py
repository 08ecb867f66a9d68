"""The jobs behind the Makefile, one module each; none of them is part of the running product."""
