# The earlier ones stay, the later ones go along. An earlier one that fails meanwhile widens the group.
supervisor rest-for-one
child a
child b
child c
child d
start
started a#1 b#1 c#1 d#1
----
0.000s start a#1
0.000s start b#1
0.000s start c#1
0.000s start d#1
0.000s up

failed c#1 a panic
----
0.000s timer 1 of c after 100ms
0.000s stop d#1 within 5s to restart it
0.000s timer 2 of d after 5s

failed a#1 a panic too
----
0.000s timer 3 of a after 100ms

stopped d#1
----
0.000s clear timer of d
0.000s stop b#1 within 5s to restart it
0.000s timer 4 of b after 5s

tick 50
stopped b#1
----
0.050s clear timer of b

tick 50
----
0.100s start a#2

started a#2
started b#2
started c#2
started d#2
tree
----
0.100s start b#2
0.100s start c#2
0.100s start d#2
story: up, RestForOne
  1 a: up since 0.100000s, 1 restart, Permanent
    life 1 failed: a panic too at 0.000000s
  2 b: up since 0.100000s, 1 restart, Permanent
    life 1 stopped at 0.050000s
  3 c: up since 0.100000s, 1 restart, Permanent
    life 1 failed: a panic at 0.000000s
  4 d: up since 0.100000s, 1 restart, Permanent
    life 1 stopped at 0.000000s
