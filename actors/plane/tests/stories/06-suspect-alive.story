# A link that goes down makes a node suspect: it gets no new tasks, until it beats.
config workers=2
auto
node w1 2
linkdown w1
submit me:1 a
nodes
----
0.000s start w1#1/1
0.000s start w1#1/2
0.000s submitted r1 job 1
w1#1 Suspect

tick 500ms
nodes
----
0.500s dispatch 1/0#1 to w1#1/1: a()
w1#1 Alive
