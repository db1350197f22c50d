# An owner dies after it applied a feed. The next one restores the checkpoint and is fed what came after it; nothing counts twice.
config workers=2
auto
node w1 1
node w2 1
submit me:1 stream=1x10s one@0s two@10s
opened 1:0
----
0.000s start w1#1/1
0.000s start w2#1/1
0.000s submitted r1 job 1
0.000s dispatch 1/0#1 to w1#1/1: one()
0.000s dispatch 1/1#1 to w2#1/1: two()
0.000s open 1:0 epoch 1 at w1#1

done 1/0#1 events=1s:a:1,2s:a:1
----
0.000s feed 1:0 epoch 1 at w1: from 1 [a@1000ms a@2000ms] watermark 10000ms seen 0

fed 1:0 checkpoint
----
0.000s feed 1:0 epoch 1 at w1: from 3 [] watermark 10000ms seen 1

# These are applied, but neither in a checkpoint nor answered.
done 1/1#1 events=11s:a:1,12s:b:1
fed 1:0
----
0.000s feed 1:0 epoch 1 at w1: from 3 [a@11000ms b@12000ms] watermark end seen 1

fed 1:0 dies
silent w1
tick 2s
----
1.600s lost w1#1
1.600s replanned after w1: 0 tasks, 1 shards
1.600s open 1:0 epoch 2 at w2#1

opened 1:0
----
2.000s feed 1:0 epoch 2 at w2: from 3 [a@11000ms b@12000ms] watermark end seen 1

fed 1:0
windows 1
----
2.000s close 1:0 epoch 2 at w2#1
2.000s finished 1: done
a from 0ms: 2 events, sum 2
a from 10000ms: 1 events, sum 1
b from 10000ms: 1 events, sum 1
