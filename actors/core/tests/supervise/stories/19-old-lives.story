# What an earlier life says, or a child that is not known, changes nothing.
supervisor one-for-one backoff=0
child a
start
started a#1
failed a#1 a panic
failed a#1 a panic
started a#1
started a#2
started a#2
----
0.000s start a#1
0.000s up
0.000s start a#2
0.000s ignored: that life of the child is over; nothing was changed
0.000s ignored: that life of the child is over; nothing was changed
0.000s ignored: that is under way or done already; nothing was changed

remove a
stopped a#2
stopped a#2
remove a
start
----
0.000s stop a#2 within 5s
0.000s timer 1 of a after 5s
0.000s clear timer of a
0.000s forgotten a
0.000s ignored: the supervisor has no such child; nothing was changed
0.000s ignored: the supervisor has no such child; nothing was changed
0.000s ignored: that is under way or done already; nothing was changed
