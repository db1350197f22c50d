# Children start one after the other, in order, and stop in reverse.
child db
child cache
child web
start
----
0.000s start db#1

started db#1
started cache#1
----
0.000s start cache#1
0.000s start web#1

started web#1
tree
----
0.000s up
story: up, OneForOne
  1 db: up since 0.000000s, Permanent
  2 cache: up since 0.000000s, Permanent
  3 web: up since 0.000000s, Permanent

tick 1000
stop
----
1.000s stop web#1 within 5s
1.000s timer 1 of web after 5s

stopped web#1
stopped cache#1
----
1.000s clear timer of web
1.000s stop cache#1 within 5s
1.000s timer 2 of cache after 5s
1.000s clear timer of cache
1.000s stop db#1 within 5s
1.000s timer 3 of db after 5s

stopped db#1
tree
----
1.000s clear timer of db
1.000s down, stopped
story: down (stopped), OneForOne
  1 db: stopped, Permanent
    life 1 stopped at 1.000000s
  2 cache: stopped, Permanent
    life 1 stopped at 1.000000s
  3 web: stopped, Permanent
    life 1 stopped at 1.000000s

# After the end nothing moves any more.
start
stop
started db#1
----
1.000s ignored: the supervisor stops, or has stopped; nothing was changed
1.000s ignored: the supervisor stops, or has stopped; nothing was changed
1.000s ignored: the supervisor stops, or has stopped; nothing was changed
