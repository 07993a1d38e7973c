"""The attacker: what a hostile neighbour, client, file, Hub or page does to the installed programs.

    python -m harness.attack [--seed N] [--requests N] [--seconds N] [--case NAME] [--json FILE]

Everything is on loopback, in a world of the harness. The fuzzer draws requests from the OpenAPI
files, the same ones for the same seed; the cases are the attacks that once worked, each in its
family's module. A verdict says what a program must never do, whatever it is sent:

    - answer with 500, or with an error that is not in the contract's envelope
    - take longer than five seconds to answer, or to answer somebody else
    - keep memory, or write its log full
    - show a key, in an answer or in a log
    - end, or leave a process behind
"""
