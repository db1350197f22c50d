# A dispatch that got lost on the way: two heartbeats in a row miss the task, and it goes out again. One miss is not enough.
config workers=1
auto
node w1 1
submit me:1 a
silent w1
tick 900ms
beat w1 tasks= workers=1
----
0.000s start w1#1/1
0.000s submitted r1 job 1
0.000s dispatch 1/0#1 to w1#1/1: a()

tick 200ms
beat w1 tasks= workers=1
----

beat w1 tasks=1/0#1 workers=1
----

beat w1 tasks= workers=1
----

beat w1 tasks= workers=1
----
1.100s dispatch 1/0#2 to w1#1/1: a()

# A worker that is missing twice is replaced; one that is not known is stopped.
beat w1 tasks=1/0#2 workers=7
----
1.100s stop w1#1/7

beat w1 tasks=1/0#2 workers=
----
1.100s start w1#1/2
1.100s dispatch 1/0#3 to w1#1/2: a()
