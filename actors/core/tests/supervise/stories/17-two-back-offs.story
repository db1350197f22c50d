# In a group nobody starts before the last back-off is over.
supervisor rest-for-one
child a
child b
child c
start
started a#1 b#1
failed c#1 no port
tick 60
failed a#1 a panic
stopped b#1
----
0.000s start a#1
0.000s start b#1
0.000s start c#1
0.000s timer 1 of c after 100ms
0.060s timer 2 of a after 100ms
0.060s stop b#1 within 5s to restart it
0.060s timer 3 of b after 5s
0.060s clear timer of b

tick 40
----

tick 60
----
0.160s start a#2

# A start that fails takes the later ones along, who have not come yet.
started a#2
failed b#2 no port
----
0.160s start b#2
0.160s timer 4 of b after 100ms

tick 100
started b#3
started c#2
----
0.260s start b#3
0.260s start c#2
0.260s up
