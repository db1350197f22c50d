# A shard that fails is opened again after 200 ms with the next epoch; what is said of the former one is stale.
config workers=1
auto
node w1 1
submit me:1 stream=1x10s a@0s
opened 1:0
done 1/0#1 events=4s:k:1
----
0.000s start w1#1/1
0.000s submitted r1 job 1
0.000s dispatch 1/0#1 to w1#1/1: a()
0.000s open 1:0 epoch 1 at w1#1
0.000s feed 1:0 epoch 1 at w1: from 1 [k@4000ms] watermark end seen 0

shardfail 1:0 disk full
fed 1:0
tick 199ms
----

tick 1ms
----
0.200s open 1:0 epoch 2 at w1#1

opened 1:0
----
0.200s feed 1:0 epoch 2 at w1: from 2 [] watermark end seen 0

fed 1:0
----
0.200s close 1:0 epoch 2 at w1#1
0.200s finished 1: done
