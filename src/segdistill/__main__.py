"""`python -m segdistill`, and what torchrun starts."""

from segdistill.cli import main

if __name__ == "__main__":
    main()
