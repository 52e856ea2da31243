"""`python -m app` is `backstay`."""

from app.cli.program import main


main()
