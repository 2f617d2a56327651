"""`python -m app.cli`: the command where its script is not on the PATH."""

from app.cli import main

main()
