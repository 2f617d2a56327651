"""`python -m app.cli`: the command without its script on the PATH."""

from app.cli import main

main()
