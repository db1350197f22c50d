# A node that is about to leave keeps what it does, and gets nothing new; workers for its own start elsewhere, and its shards go there.
config workers=2
auto
node w1 2
submit me:1 stream=1x1s a@0s b@0s
node w2 2
drains w1
done 1/0#1
submit me:2 c
leaves w1
----
0.000s start w1#1/1
0.000s start w1#1/2
0.000s submitted r1 job 1
0.000s dispatch 1/0#1 to w1#1/1: a()
0.000s dispatch 1/1#1 to w1#1/2: b()
0.000s open 1:0 epoch 1 at w1#1
0.000s start w2#1/1
0.000s start w2#1/2
0.000s open 1:0 epoch 2 at w2#1
0.000s submitted r2 job 2
0.000s dispatch 2/0#1 to w2#1/1: c()
0.000s lost w1#1
0.000s replanned after w1: 1 tasks, 0 shards
0.000s dispatch 1/1#2 to w2#1/2: b()
