# More than three restarts within ten seconds are not borne: all is stopped in reverse order, and the failure goes to the parent.
supervisor one-for-one backoff=0
child a
child b
child c
start
started a#1 b#1 c#1
failed b#1 a panic
failed b#2 a panic
failed a#1 a panic
started a#2
tick 9000
----
0.000s start a#1
0.000s start b#1
0.000s start c#1
0.000s up
0.000s start b#2
0.000s start b#3
0.000s start a#2

failed b#3 the last straw
----
9.000s stop c#1 within 5s
9.000s timer 1 of c after 5s

# Whatever is asked for now comes too late.
stop
add d
restart a
remove a
----
9.000s ignored: the supervisor stops, or has stopped; nothing was changed
9.000s ignored: the supervisor stops, or has stopped; nothing was changed
9.000s ignored: the supervisor stops, or has stopped; nothing was changed
9.000s ignored: the supervisor stops, or has stopped; nothing was changed

failed c#1 a panic on the way out
stopped a#2
tree
----
9.000s clear timer of c
9.000s stop a#2 within 5s
9.000s timer 2 of a after 5s
9.000s clear timer of a
9.000s down, failed: more than 3 restarts within 10s, at last since b failed: the last straw
story: down (failed: more than 3 restarts within 10s, at last since b failed: the last straw), OneForOne
  1 a: stopped, 1 restart, Permanent
    life 1 failed: a panic at 0.000000s
    life 2 stopped at 9.000000s
  2 b: stopped, 2 restarts, Permanent
    life 1 failed: a panic at 0.000000s
    life 2 failed: a panic at 0.000000s
    life 3 failed: the last straw at 9.000000s
  3 c: stopped, Permanent
    life 1 failed: a panic on the way out at 9.000000s
