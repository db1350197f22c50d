# A node that restarts is heard as its next life: the former one is lost at once, without waiting for silence.
config workers=1
auto
node w1 1
submit me:1 a
----
0.000s start w1#1/1
0.000s submitted r1 job 1
0.000s dispatch 1/0#1 to w1#1/1: a()

node w1#2 1
done 1/0#1
beat w1#1
nodes
----
0.000s lost w1#1
0.000s replanned after w1: 1 tasks, 0 shards
0.000s start w1#2/1
0.000s dispatch 1/0#2 to w1#2/1: a()
w1#2 Alive
