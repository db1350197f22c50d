# It is stopped and starts without a wait, and none of the others notices. It does not count, and cuts a back-off short.
supervisor one-for-all max=1
child a
child b
start
started a#1 b#1
restart a
----
0.000s start a#1
0.000s start b#1
0.000s up
0.000s stop a#1 within 5s to restart it
0.000s timer 1 of a after 5s

stopped a#1
----
0.000s clear timer of a
0.000s start a#2

started a#2
failed b#1 a panic
restart a
stopped a#2
----
0.000s timer 2 of b after 100ms
0.000s stop a#2 within 5s to restart it
0.000s timer 3 of a after 5s
0.000s ignored: that is under way or done already; nothing was changed
0.000s clear timer of a

restart b
started a#3
started b#2
----
0.000s clear timer of b
0.000s start a#3
0.000s start b#2
