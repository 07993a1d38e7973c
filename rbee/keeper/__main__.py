"""`python -m rbee.keeper` and the console script."""

from rbee.keeper.cli import main

if __name__ == "__main__":
    main(prog_name="rbee-keeper")
