"""`python -m tidegate.cli`: the program, where its script is not on the path."""

from tidegate.cli.app import main

main()
