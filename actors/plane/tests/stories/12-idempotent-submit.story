# The same key is the same job, also when it is done; another client's number is another job.
config workers=1
auto
node w1 1
submit me:1 a
----
0.000s start w1#1/1
0.000s submitted r1 job 1
0.000s dispatch 1/0#1 to w1#1/1: a()

submit me:1 a
submit you:1 a
----
0.000s submitted r2 job 1
0.000s submitted r3 job 2

done 1/0#1
submit me:1 a
----
0.000s finished 1: done
0.000s dispatch 2/0#1 to w1#1/1: a()
0.000s submitted r4 job 1
