# Suspect at one second of silence, lost at 1.6: to the millisecond.
config workers=0
node w1 1
silent w1
tick 999ms
nodes
----
w1#1 Alive

tick 1ms
nodes
----
w1#1 Suspect

tick 599ms
nodes
----
w1#1 Suspect

tick 1ms
nodes
----
1.600s lost w1#1
1.600s replanned after w1: 0 tasks, 0 shards
w1#1 Lost

# It stays lost, until it comes as another life.
beat w1
nodes
----
w1#1 Lost

node w1#2 1
nodes
----
w1#2 Alive
