# A diamond: b and c overlap, d waits for both and gets their values in order.
config workers=2
auto
node w1 2
----
0.000s start w1#1/1
0.000s start w1#1/2

submit me:1 out=3 a b(0) c(0) d(1,2)
----
0.000s submitted r1 job 1
0.000s dispatch 1/0#1 to w1#1/1: a()

done 1/0#1
----
0.000s dispatch 1/1#1 to w1#1/1: b(1/0#1)
0.000s dispatch 1/2#1 to w1#1/2: c(1/0#1)

done 1/2#1
status 1
----
running: 2 done, 1 running, 1 waiting, 0 failed, 0 skipped, 0 retries

done 1/1#1
----
0.000s dispatch 1/3#1 to w1#1/1: d(1/1#1, 1/2#1)

done 1/3#1
status 1
result 1
----
0.000s finished 1: done
done: 4 done, 0 running, 0 waiting, 0 failed, 0 skipped, 0 retries
Some([b"1/3#1"])
