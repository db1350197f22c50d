# Permanent: always. Transient: after a failure. Temporary: never, and then it is forgotten.
supervisor one-for-one max=9
child always
child maybe transient
child once temporary
child once-more temporary
start
started always#1 maybe#1 once#1 once-more#1
----
0.000s start always#1
0.000s start maybe#1
0.000s start once#1
0.000s start once-more#1
0.000s up

ended always#1
failed maybe#1 a panic
----
0.000s timer 1 of always after 100ms
0.000s timer 2 of maybe after 100ms

failed once#1 a panic
ended once-more#1
----
0.000s forgotten once
0.000s forgotten once-more

tick 100
started always#2 maybe#2
stopped maybe#2
stopped always#2
tree
----
0.100s start always#2
0.100s start maybe#2
0.100s rest maybe
0.100s timer 3 of always after 200ms
story: up, OneForOne
  1 always: backing off until 0.300000s, 1 restart, Permanent
    life 1 ended at 0.000000s
    life 2 stopped at 0.100000s
  2 maybe: stopped, 1 restart, Transient
    life 1 failed: a panic at 0.000000s
    life 2 stopped at 0.100000s

# One that rests can be woken.
restart maybe
----
0.100s start maybe#3
