# Restarts that have left the window do not count.
supervisor one-for-one max=2 within=1000 backoff=0
child a
start
started a#1
failed a#1 x
tick 600
failed a#2 x
tick 401
failed a#3 x
----
0.000s start a#1
0.000s up
0.000s start a#2
0.600s start a#3
1.001s start a#4

tick 599
failed a#4 x
----
1.600s down, failed: more than 2 restarts within 1s, at last since a failed: x
