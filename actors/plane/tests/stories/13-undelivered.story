# A dispatch that was not delivered goes back at once; its node gets nothing new before it is heard again.
config workers=2
auto
node w1 1
node w2 1
submit me:1 a b c
----
0.000s start w1#1/1
0.000s start w2#1/1
0.000s submitted r1 job 1
0.000s dispatch 1/0#1 to w1#1/1: a()
0.000s dispatch 1/1#1 to w2#1/1: b()

undelivered 1/0#1
status 1
----
running: 0 done, 1 running, 2 waiting, 0 failed, 0 skipped, 1 retries

done 1/1#1
----
0.000s dispatch 1/0#2 to w2#1/1: a()

tick 500ms
----
0.500s dispatch 1/2#1 to w1#1/1: c()
