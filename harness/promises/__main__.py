"""`python -m harness.promises`: which values nobody can compare, and what is wrong with the table.

Exit code 1 if something is wrong: a value that nobody compares and no reason for it, a step that is
not there or not used, a value that the reference pages promise and the table does not have.
"""

import sys

from harness.promises.table import Specification, complaints, load


def main() -> int:
    promises = load()
    wrong = complaints(promises, Specification())
    compared = [promise for promise in promises if promise.by]
    for promise in promises:
        if promise.why:
            print(f"not compared: {promise}: {promise.why}")
    for line in wrong:
        print(f"wrong: {line}")
    print(f"{len(compared)} of {len(promises)} values are compared")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
