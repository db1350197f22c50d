# The restart of a group does not hang on a child that does.
supervisor one-for-all
child a
child b stop=300
start
started a#1 b#1
failed a#1 a panic
----
0.000s start a#1
0.000s start b#1
0.000s up
0.000s timer 1 of a after 100ms
0.000s stop b#1 within 300ms to restart it
0.000s timer 2 of b after 300ms

tick 300
----
0.300s abort b#1
0.300s start a#2

failed b#1 at last
started a#2
started b#2
tree
----
0.300s ignored: that life of the child is over; nothing was changed
0.300s start b#2
story: up, OneForAll
  1 a: up since 0.300000s, 1 restart, Permanent
    life 1 failed: a panic at 0.000000s
  2 b: up since 0.300000s, 1 restart, Permanent
    life 1 failed: it did not stop within 300ms at 0.300000s
