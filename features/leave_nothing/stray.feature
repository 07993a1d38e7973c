@beyond
Feature: A program that hides from its owner is found by the specification itself
  Whatever a scenario leaves running makes it fail, even if the process has no environment by which
  it could be recognised, a session of its own, and no parent.

  @cgroup
  Scenario: A process without environment, in a session of its own
    When I run in a shell `env -i setsid --fork sleep 300 >/dev/null 2>&1`
    Then it exits with 0
    And one process is left running, and it is "sleep 300"
    When that process is killed
    Then nothing is running after 1 s
