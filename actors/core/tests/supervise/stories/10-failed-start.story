# A start that fails counts like any failure. When it fails too often, the supervisor was never up.
supervisor one-for-one max=2
child a
child b
child c
start
started a#1
failed b#1 no port
----
0.000s start a#1
0.000s start b#1
0.000s timer 1 of b after 100ms

# The third waits for the second.
tick 100
failed b#2 no port
----
0.100s start b#2
0.100s timer 2 of b after 200ms

tick 200
failed b#3 no port
----
0.300s start b#3
0.300s stop a#1 within 5s
0.300s timer 3 of a after 5s

stopped a#1
tree
----
0.300s clear timer of a
0.300s down, failed: it did not start: more than 2 restarts within 10s, at last since b failed: no port
story: down (failed: it did not start: more than 2 restarts within 10s, at last since b failed: no port), OneForOne
  1 a: stopped, Permanent
    life 1 stopped at 0.300000s
  2 b: stopped, 2 restarts, Permanent
    life 1 failed: no port at 0.000000s
    life 2 failed: no port at 0.100000s
    life 3 failed: no port at 0.300000s
  3 c: stopped, Permanent
