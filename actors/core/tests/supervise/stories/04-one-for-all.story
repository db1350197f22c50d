# All that live stop in reverse order and start in order, after the back-off. One that rests starts again with the group; a temporary
# one is forgotten.
supervisor one-for-all max=9
child db
child import transient
child once temporary
child web
start
started db#1 import#1 once#1 web#1
ended import#1
----
0.000s start db#1
0.000s start import#1
0.000s start once#1
0.000s start web#1
0.000s up
0.000s rest import

failed db#1 a panic
----
0.000s timer 1 of db after 100ms
0.000s stop web#1 within 5s to restart it
0.000s timer 2 of web after 5s

stopped web#1
----
0.000s clear timer of web
0.000s stop once#1 within 5s
0.000s timer 3 of once after 5s

stopped once#1
----
0.000s clear timer of once
0.000s forgotten once

tick 100
----
0.100s start db#2

started db#2
started import#2
started web#2
tree
----
0.100s start import#2
0.100s start web#2
story: up, OneForAll
  1 db: up since 0.100000s, 1 restart, Permanent
    life 1 failed: a panic at 0.000000s
  2 import: up since 0.100000s, 1 restart, Transient
    life 1 ended at 0.000000s
  4 web: up since 0.100000s, 1 restart, Permanent
    life 1 stopped at 0.000000s

# Neither a normal end of a transient child nor a failure of a temporary one concerns the group.
add last temporary
started last#1
failed last#1 a panic
ended import#2
----
0.100s start last#1
0.100s forgotten last
0.100s rest import
