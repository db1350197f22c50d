# Beats that were under way when a worker came up do not name it, several of them where the network holds them back. It is not gone for
# that, and keeps its task.
config workers=1
node w1 2
silent w1
up w1/1
submit me:1 a
beat w1 tasks= workers=
beat w1 tasks= workers=
beat w1 tasks= workers=
----
0.000s start w1#1/1
0.000s submitted r1 job 1
0.000s dispatch 1/0#1 to w1#1/1: a()

# Later such a beat is true.
tick 900ms
beat w1 tasks=1/0#1 workers=1
tick 200ms
beat w1 tasks= workers=
----

beat w1 tasks= workers=
----
1.100s start w1#1/2

up w1/2
----
1.100s dispatch 1/0#2 to w1#1/2: a()
