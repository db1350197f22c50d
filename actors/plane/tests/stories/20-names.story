# A name has one owner. Another claim is told who that is; the same claim, said twice, is granted once.
claim a 1:leader,2:printer
claim b 1:leader
claim a 1:leader
names
----
leader is granted with fence 1
printer is granted with fence 2
leader is owned by a#1 with fence 1
leader is granted with fence 1
leader: a#1 fence 1
printer: a#1 fence 2

# What is released is free, and the next fence is higher.
release a 1
claim b 2:leader
names
----
leader is granted with fence 3
leader: b#1 fence 3
printer: a#1 fence 2

# A claim of before, which comes late, is granted: nobody knows of it. The node's next word ends it.
release b 2
claim b 1:leader
keep b 1 2
names
----
leader is granted with fence 4
b#1 holds []
printer: a#1 fence 2

# A word that comes late says nothing.
claim b 3:leader
keep b 5 3 3
keep b 4 3
names leader
----
leader is granted with fence 5
b#1 holds [3]
b#1 holds [3]
leader: b#1 fence 5

# A name without letters is none.
claim a 9:
----
 is refused: a name of 0 bytes; names have 1 to 256
