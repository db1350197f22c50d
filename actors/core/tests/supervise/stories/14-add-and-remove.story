# At run time children of one-for-one start at once, without turns. A removed one is stopped, then forgotten.
start
add a
add b stop=100
add c temporary
started b#1
----
0.000s up
0.000s start a#1
0.000s start b#1
0.000s start c#1

remove a
remove a
restart a
----
0.000s stop a#1 within 5s
0.000s timer 1 of a after 5s
0.000s ignored: that is under way or done already; nothing was changed
0.000s ignored: that is under way or done already; nothing was changed

stopped a#1
remove a
----
0.000s clear timer of a
0.000s forgotten a
0.000s ignored: the supervisor has no such child; nothing was changed

remove b
tick 100
----
0.000s stop b#1 within 100ms
0.000s timer 2 of b after 100ms
0.100s abort b#1
0.100s forgotten b

restart c
started c#1
remove c
stopped c#1
tree
----
0.100s ignored: a temporary child is never restarted; remove it and add another
0.100s stop c#1 within 5s
0.100s timer 3 of c after 5s
0.100s clear timer of c
0.100s forgotten c
story: up, OneForOne
