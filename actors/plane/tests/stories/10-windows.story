# The watermark is the lowest floor of unfinished tasks; a window closes when it has passed its end.
config workers=2
auto
node w1 2
submit me:1 stream=1x10s early@0s late@20s
----
0.000s start w1#1/1
0.000s start w1#1/2
0.000s submitted r1 job 1
0.000s dispatch 1/0#1 to w1#1/1: early()
0.000s dispatch 1/1#1 to w1#1/2: late()
0.000s open 1:0 epoch 1 at w1#1

opened 1:0
----

done 1/1#1 events=21s:b:5,25s:a:1
----
0.000s feed 1:0 epoch 1 at w1: from 1 [b@21000ms a@25000ms] watermark 0ms seen 0

fed 1:0
windows 1
status 1
----
running: 1 done, 1 running, 0 waiting, 0 failed, 0 skipped, 0 retries; stream: 2 events, 2 applied, 2 for replay, 0 windows, 0 late, watermark 0ms

done 1/0#1 events=3s:a:1,4s:a:2,12s:a:4
----
0.000s feed 1:0 epoch 1 at w1: from 3 [a@3000ms a@4000ms a@12000ms] watermark end seen 0

fed 1:0
windows 1
status 1
----
0.000s close 1:0 epoch 1 at w1#1
0.000s finished 1: done
a from 0ms: 2 events, sum 3
a from 10000ms: 1 events, sum 4
a from 20000ms: 1 events, sum 1
b from 20000ms: 1 events, sum 5
done: 2 done, 0 running, 0 waiting, 0 failed, 0 skipped, 0 retries; stream: 5 events, 5 applied, 5 for replay, 4 windows, 0 late, watermark end
