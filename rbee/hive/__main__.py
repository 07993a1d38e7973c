"""`python -m rbee.hive` and the console script."""

from rbee.hive.cli import main

if __name__ == "__main__":
    main(prog_name="rbee-hive")
