# Two slots and three queued tasks: the third task waits, the fourth is refused, all or nothing.
config workers=4 slots=2 queued=3
auto
node w1 4
----
0.000s start w1#1/1
0.000s start w1#1/2
0.000s start w1#1/3
0.000s start w1#1/4

submit me:1 a b c
----
0.000s submitted r1 job 1
0.000s dispatch 1/0#1 to w1#1/1: a()
0.000s dispatch 1/1#1 to w1#1/2: b()

submit me:2 d
submit me:3 tenant=nobody d
----
0.000s refused r2: tenant default may have 3 unfinished tasks, and 4 are wanted
0.000s refused r3: there is no tenant nobody

done 1/0#1
----
0.000s dispatch 1/2#1 to w1#1/1: c()

done 1/1#1
submit me:2 d
----
0.000s submitted r4 job 2
0.000s dispatch 2/0#1 to w1#1/2: d()

submit me:4 e f
----
0.000s refused r5: tenant default may have 3 unfinished tasks, and 4 are wanted
