"""`python -m app` is `backstay`."""

from app.cli.entry import main


main()
