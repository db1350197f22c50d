# The same result told twice counts once.
config workers=1
auto
node w1 1
submit me:1 a b
----
0.000s start w1#1/1
0.000s submitted r1 job 1
0.000s dispatch 1/0#1 to w1#1/1: a()

done 1/0#1
----
0.000s dispatch 1/1#1 to w1#1/1: b()

done 1/0#1
status 1
counters
----
running: 1 done, 1 running, 0 waiting, 0 failed, 0 skipped, 0 retries
Counters { accepted: 1, dispatched: 2, completed: 1, failed_attempts: 0, retried: 0, stale_results: 1, nodes_lost: 0 }
