# A function that fails is tried again after 100 ms, then 200 ms; the third failure is the last, and what depends on it is skipped.
config workers=2
auto
node w1 2
submit me:1 attempts=3 parse load(0)
----
0.000s start w1#1/1
0.000s start w1#1/2
0.000s submitted r1 job 1
0.000s dispatch 1/0#1 to w1#1/1: parse()

fail 1/0#1 bad line
status 1
tick 99ms
----
running: 0 done, 0 running, 2 waiting, 0 failed, 0 skipped, 1 retries

tick 1ms
----
0.100s dispatch 1/0#2 to w1#1/1: parse()

fail 1/0#2 bad line
tick 199ms
----

tick 1ms
----
0.300s dispatch 1/0#3 to w1#1/1: parse()

fail 1/0#3 bad line
status 1
workers
----
0.300s finished 1: failed: task 0 (parse) failed 3 times, at last: bad line
failed: task 0 (parse) failed 3 times, at last: bad line: 0 done, 0 running, 0 waiting, 1 failed, 1 skipped, 2 retries
w1#1/1 up
w1#1/2 up
