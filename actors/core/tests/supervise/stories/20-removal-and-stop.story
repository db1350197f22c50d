# A removal that is under way when the supervisor stops is still answered; a restart is not.
child a
child b
child c
start
started a#1 b#1 c#1
remove a
restart b
stop
----
0.000s start a#1
0.000s start b#1
0.000s start c#1
0.000s up
0.000s stop a#1 within 5s
0.000s timer 1 of a after 5s
0.000s stop b#1 within 5s to restart it
0.000s timer 2 of b after 5s
0.000s stop c#1 within 5s
0.000s timer 3 of c after 5s

stopped c#1
stopped b#1
stopped a#1
tree
----
0.000s clear timer of c
0.000s clear timer of b
0.000s clear timer of a
0.000s forgotten a
0.000s down, stopped
story: down (stopped), OneForOne
  2 b: stopped, Permanent
    life 1 stopped at 0.000000s
  3 c: stopped, Permanent
    life 1 stopped at 0.000000s
