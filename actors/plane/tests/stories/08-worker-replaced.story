# A worker that goes down is replaced with a new number, and its task runs again. One that does not come up is told again.
config workers=1
node w1 2
----
0.000s start w1#1/1

tick 1900ms
----

tick 100ms
----
2.000s start w1#1/1

up w1/1
submit me:1 a
----
2.000s submitted r1 job 1
2.000s dispatch 1/0#1 to w1#1/1: a()

down w1/1 out of memory
----
2.000s start w1#1/2

up w1/2
# What the dead one says is stale.
done 1/0#1
----
2.000s dispatch 1/0#2 to w1#1/2: a()

done 1/0#2
----
2.000s finished 1: done
