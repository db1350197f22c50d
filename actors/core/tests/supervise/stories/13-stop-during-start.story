# The one that is starting is told to stop; that it has started is no news any more. Those behind it never start.
child a
child b
child c
start
started a#1
stop
----
0.000s start a#1
0.000s start b#1
0.000s stop b#1 within 5s
0.000s timer 1 of b after 5s

started b#1
stopped b#1
stopped a#1
tree
----
0.000s ignored: that is under way or done already; nothing was changed
0.000s clear timer of b
0.000s stop a#1 within 5s
0.000s timer 2 of a after 5s
0.000s clear timer of a
0.000s down, stopped
story: down (stopped), OneForOne
  1 a: stopped, Permanent
    life 1 stopped at 0.000000s
  2 b: stopped, Permanent
    life 1 stopped at 0.000000s
  3 c: stopped, Permanent
