# The timer of the back-off goes, and what comes of it later changes nothing.
child a
child b
start
started a#1 b#1
failed a#1 a panic
----
0.000s start a#1
0.000s start b#1
0.000s up
0.000s timer 1 of a after 100ms

tick 50
stop
----
0.050s clear timer of a
0.050s stop b#1 within 5s
0.050s timer 2 of b after 5s

timer a 1
stopped b#1
----
0.050s ignored: that timer is not set any more; nothing was changed
0.050s clear timer of b
0.050s down, stopped

tick 1000
----
