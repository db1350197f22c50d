# A new leader does not know which of the last orders of the one before were given. Those without an answer it gives again, shards with a
# higher epoch. A task it gives again when heartbeats say that its worker does not have it.
config workers=2
node w1 2
up w1/1
submit me:1 stream=1x1s a@0s
tookover
----
0.000s start w1#1/1
0.000s start w1#1/2
0.000s submitted r1 job 1
0.000s dispatch 1/0#1 to w1#1/1: a()
0.000s open 1:0 epoch 1 at w1#1
0.000s start w1#1/2
0.000s open 1:0 epoch 2 at w1#1

# The answer to an order of before is late: the shard is open when the new one is answered.
opened 1:0
done 1/0#1 events=0s:k:5
----
0.000s feed 1:0 epoch 2 at w1: from 1 [k@0ms] watermark end seen 0
