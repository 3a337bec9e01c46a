"""`python -m service` is `interests`."""

from service.cli import main

if __name__ == "__main__":
    main()
