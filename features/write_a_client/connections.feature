@beyond
Feature: Strangers' connections keep nobody from the daemons
  A connection costs its owner nothing, and the daemon a place. So those that are idle make room for others,
  and what does not speak HTTP is told so in the same form as every other refusal.

  Scenario: More idle connections than a daemon has places
    Given a persistent queen
    When a stranger opens 4200 connections to the queen, and sends nothing
    And I run `rbee-keeper worker list`
    Then it exits with 0
    And the queen has closed some of the stranger's connections, and has at most 4096
    And its log has grown by less than 100 KB
    And the queen is still the same process

  Scenario: What is not HTTP
    Given a persistent queen, with a worker that has answered once
    When queen, hive and worker are each sent these bytes
      | bytes                                             |
      | HELO strangers                                    |
      | \x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n  |
      | GET / HTTP/9.9                                    |
      | BREW / HTTP/1.1                                   |
      | GET / HTTP/1.1\r\nConnection: close\r\nHost: \xff |
      | GET / HTTP/1.1\r\nno colon                        |
      | POST / HTTP/1.1\r\nContent-Length: -1             |
    Then each is refused with INVALID_REQUEST and a status of 400 or 403, in JSON
    And no log has a traceback, or a control character
    And queen, hive and worker are still the same processes
