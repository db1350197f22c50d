# A child that fails while its group stops, by itself or when told to, is no further failure: one restart is counted.
supervisor one-for-all max=1 backoff=0
child a
child b
child c
start
started a#1 b#1 c#1
----
0.000s start a#1
0.000s start b#1
0.000s start c#1
0.000s up

failed b#1 a panic
----
0.000s stop c#1 within 5s to restart it
0.000s timer 1 of c after 5s

failed a#1 a panic since b is gone
----

failed c#1 a panic on the way out
----
0.000s clear timer of c
0.000s start a#2

started a#2
started b#2
started c#2
tree
----
0.000s start b#2
0.000s start c#2
story: up, OneForAll
  1 a: up since 0.000000s, 1 restart, Permanent
    life 1 failed: a panic since b is gone at 0.000000s
  2 b: up since 0.000000s, 1 restart, Permanent
    life 1 failed: a panic at 0.000000s
  3 c: up since 0.000000s, 1 restart, Permanent
    life 1 failed: a panic on the way out at 0.000000s
