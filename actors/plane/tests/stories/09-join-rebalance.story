# When a node joins, idle workers move to it; busy ones do not.
config workers=4
auto
node w1 4
submit me:1 a b c
----
0.000s start w1#1/1
0.000s start w1#1/2
0.000s start w1#1/3
0.000s start w1#1/4
0.000s submitted r1 job 1
0.000s dispatch 1/0#1 to w1#1/1: a()
0.000s dispatch 1/1#1 to w1#1/2: b()
0.000s dispatch 1/2#1 to w1#1/3: c()

node w2 4
workers
----
0.000s stop w1#1/4
0.000s start w2#1/1
w1#1/1 up runs 1/0#1
w1#1/2 up runs 1/1#1
w1#1/3 up runs 1/2#1
w2#1/1 up

# Now one more is idle: the spread becomes even.
done 1/2#1
workers
----
0.000s stop w1#1/3
0.000s start w2#1/2
w1#1/1 up runs 1/0#1
w1#1/2 up runs 1/1#1
w2#1/1 up
w2#1/2 up
