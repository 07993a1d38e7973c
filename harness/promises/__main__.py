"""`python -m harness.promises`: which values nobody compares, and what is wrong with the table.

Exit code 1 if something is wrong: a step that is not there or not used, a value that the reference
pages promise and the table does not have.
"""

import sys

from harness.promises.table import Specification, complaints, load


def main() -> int:
    promises = load()
    wrong = complaints(promises, Specification())
    open_ = [promise for promise in promises if not promise.by]
    for promise in open_:
        print(f"compared by nobody: {promise}")
    for line in wrong:
        print(f"wrong: {line}")
    print(f"{len(promises) - len(open_)} of {len(promises)} values are compared")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
