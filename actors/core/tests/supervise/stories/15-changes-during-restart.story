# While a group restarts: who comes waits for its turn, who goes does not come back, who was asked to restart does so anyway.
supervisor one-for-all
child a
child b
child c
child d
start
started a#1 b#1 c#1 d#1
failed d#1 a panic
----
0.000s start a#1
0.000s start b#1
0.000s start c#1
0.000s start d#1
0.000s up
0.000s timer 1 of d after 100ms
0.000s stop c#1 within 5s to restart it
0.000s timer 2 of c after 5s

add e
remove b
remove d
restart c
----
0.000s clear timer of d
0.000s forgotten d
0.000s ignored: that is under way or done already; nothing was changed

restart a
stopped c#1
----
0.000s ignored: that is under way or done already; nothing was changed
0.000s clear timer of c
0.000s stop b#1 within 5s
0.000s timer 3 of b after 5s

stopped b#1
stopped a#1
----
0.000s clear timer of b
0.000s forgotten b
0.000s stop a#1 within 5s to restart it
0.000s timer 4 of a after 5s
0.000s clear timer of a
0.000s start a#2

started a#2
started c#2
started e#1
tree
----
0.000s start c#2
0.000s start e#1
story: up, OneForAll
  1 a: up since 0.000000s, 1 restart, Permanent
    life 1 stopped at 0.000000s
  3 c: up since 0.000000s, 1 restart, Permanent
    life 1 stopped at 0.000000s
  5 e: up since 0.000000s, Permanent
