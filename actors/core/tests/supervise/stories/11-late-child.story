# A child that misses its deadline is given up; the others get their turn. A supervisor may take as long as it needs.
child a
child deep forever
child b stop=200
start
started a#1 deep#1 b#1
stop
----
0.000s start a#1
0.000s start deep#1
0.000s start b#1
0.000s up
0.000s stop b#1 within 200ms
0.000s timer 1 of b after 200ms

tick 200
----
0.200s abort b#1
0.200s stop deep#1 within any time

# What the late one says at last changes nothing.
stopped b#1
tick 100000
----
0.200s ignored: that life of the child is over; nothing was changed

stopped deep#1
tick 5000
tree
----
100.200s stop a#1 within 5s
100.200s timer 2 of a after 5s
105.200s abort a#1
105.200s down, stopped
story: down (stopped), OneForOne
  1 a: stopped, Permanent
    life 1 failed: it did not stop within 5s at 105.200000s
  2 deep: stopped, Permanent
    life 1 stopped at 100.200000s
  3 b: stopped, Permanent
    life 1 failed: it did not stop within 200ms at 0.200000s
