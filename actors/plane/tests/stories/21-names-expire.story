# An owner that is silent for 2.4 seconds (one and a half times the 1.6 of its lease) owns nothing any more.
claim a 1:x
claim b 1:y
tick 2s
keep a 1 1 1
tick 399ms
names
tick 1ms
names
tick 2s
names
----
x is granted with fence 1
y is granted with fence 2
a#1 holds [1]
x: a#1 fence 1
y: b#1 fence 2
2.400s 1 names of b#1 are free
x: a#1 fence 1
4.400s 1 names of a#1 are free

# A later life of a node is another owner, and waits for the earlier one like everybody.
claim a#1 7:x
claim a#2 1:x
tick 3s
claim a#2 1:x
----
x is granted with fence 3
x is owned by a#1 with fence 3
6.800s 1 names of a#1 are free
x is granted with fence 4

# Nobody can be heard while nobody leads: a new leader counts all owners as heard.
tick 2300ms
tookover
tick 2300ms
names
tick 100ms
names
----
x: a#2 fence 4
12.100s 1 names of a#2 are free

# A node that speaks again after it was given up owns nothing.
keep a#2 5 1 1
----
a#2 holds []
