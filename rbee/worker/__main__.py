"""`python -m rbee.worker` and the console script."""

from rbee.worker.cli import main

if __name__ == "__main__":
    main(prog_name="llm-worker-rbee")
