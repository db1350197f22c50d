# A silent node is lost after 1.6 seconds; its task runs again elsewhere, with the next fence. What it says later changes nothing.
config workers=2
auto
node w1 1
node w2 1
submit me:1 a b
----
0.000s start w1#1/1
0.000s start w2#1/1
0.000s submitted r1 job 1
0.000s dispatch 1/0#1 to w1#1/1: a()
0.000s dispatch 1/1#1 to w2#1/1: b()

silent w1
done 1/1#1
tick 1599ms
nodes
----
w1#1 Suspect
w2#1 Alive

tick 1ms
----
1.600s lost w1#1
1.600s replanned after w1: 1 tasks, 0 shards
1.600s dispatch 1/0#2 to w2#1/1: a()

done 1/0#1
beat w1
status 1
----
running: 1 done, 1 running, 0 waiting, 0 failed, 0 skipped, 1 retries

done 1/0#2
counters
----
1.600s finished 1: done
Counters { accepted: 1, dispatched: 3, completed: 2, failed_attempts: 0, retried: 1, stale_results: 1, nodes_lost: 1 }
