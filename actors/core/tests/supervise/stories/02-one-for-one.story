# A failure concerns only its child; the wait doubles with each failure in a row.
child db
child web
start
started db#1 web#1
----
0.000s start db#1
0.000s start web#1
0.000s up

failed db#1 lost its disk
----
0.000s timer 1 of db after 100ms

tick 100
failed db#2 no disk
tree
----
0.100s start db#2
0.100s timer 2 of db after 200ms
story: up, OneForOne
  1 db: backing off until 0.300000s, 1 restart, Permanent
    life 1 failed: lost its disk at 0.000000s
    life 2 failed: no disk at 0.100000s
  2 web: up since 0.000000s, Permanent

# A long life makes the next failure a first one.
tick 200
started db#3
tick 10000
failed db#3 lost its disk
----
0.300s start db#3
10.300s timer 3 of db after 100ms

# Chance takes away a fifth at most.
dice most
tick 100
failed db#4 no disk
----
10.400s start db#4
10.400s timer 4 of db after 160ms
