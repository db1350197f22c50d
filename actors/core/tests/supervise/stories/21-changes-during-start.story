# While all start for the first time: an earlier one that is stopped to start again, or fails, keeps the others waiting; also the one
# whose turn it is, when it is removed.
child a
child b
child c
child d
start
started a#1
restart a
started b#1
----
0.000s start a#1
0.000s start b#1
0.000s stop a#1 within 5s to restart it
0.000s timer 1 of a after 5s

stopped a#1
----
0.000s clear timer of a
0.000s start a#2

started a#2
restart c
stopped c#1
----
0.000s start c#1
0.000s stop c#1 within 5s to restart it
0.000s timer 2 of c after 5s
0.000s clear timer of c
0.000s start c#2

remove c
----
0.000s stop c#2 within 5s
0.000s timer 3 of c after 5s

stopped c#2
started d#1
failed d#1 a panic
----
0.000s clear timer of c
0.000s forgotten c
0.000s start d#1
0.000s up
0.000s timer 4 of d after 100ms

tick 100
started d#2
tree
----
0.100s start d#2
story: up, OneForOne
  1 a: up since 0.000000s, 1 restart, Permanent
    life 1 stopped at 0.000000s
  2 b: up since 0.000000s, Permanent
  4 d: up since 0.100000s, 1 restart, Permanent
    life 1 failed: a panic at 0.000000s
