"""`python -m rbee.queen` and the console script."""

from rbee.queen.cli import main

if __name__ == "__main__":
    main(prog_name="queen-rbee")
