# Events below the task's own floor, or of a task without one, are a failure of the function: nothing of the result is kept.
config workers=2
auto
node w1 2
submit me:1 attempts=1 stream=1x10s a@5s
----
0.000s start w1#1/1
0.000s start w1#1/2
0.000s submitted r1 job 1
0.000s dispatch 1/0#1 to w1#1/1: a()
0.000s open 1:0 epoch 1 at w1#1

done 1/0#1 events=4s:k:1
----
0.000s close 1:0 epoch 1 at w1#1
0.000s finished 1: failed: task 0 (a) failed 1 times, at last: brought an event of 4.000000s, below its floor of 5.000000s

submit me:2 attempts=1 stream=1x10s a
----
0.000s submitted r2 job 2
0.000s dispatch 2/0#1 to w1#1/1: a()
0.000s open 2:0 epoch 1 at w1#1

done 2/0#1 events=4s:k:1
----
0.000s close 2:0 epoch 1 at w1#1
0.000s finished 2: failed: task 0 (a) failed 1 times, at last: brought events, but the task has no event floor
