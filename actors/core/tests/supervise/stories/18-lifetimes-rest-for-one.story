# An end that calls for no restart concerns nobody else, wherever it stands.
supervisor rest-for-one
child once temporary
child maybe transient
child always
start
started once#1 maybe#1 always#1
failed once#1 a panic
ended maybe#1
----
0.000s start once#1
0.000s start maybe#1
0.000s start always#1
0.000s up
0.000s forgotten once
0.000s rest maybe

# The earlier ones that rest are left alone.
ended always#1
tick 100
started always#2
tree
----
0.000s timer 1 of always after 100ms
0.100s start always#2
story: up, RestForOne
  2 maybe: stopped, Transient
    life 1 ended at 0.000000s
  3 always: up since 0.100000s, 1 restart, Permanent
    life 1 ended at 0.000000s

restart maybe
started maybe#2
failed maybe#2 a panic
stopped always#2
tick 100
started maybe#3 always#3
----
0.100s start maybe#2
0.100s timer 2 of maybe after 100ms
0.100s stop always#2 within 5s to restart it
0.100s timer 3 of always after 5s
0.100s clear timer of always
0.200s start maybe#3
0.200s start always#3
