//! What is said to a group reaches each member at most once, and nobody who was not in it: who had left hears nothing.

use crate::scenario::groups::book::Book;

pub(in crate::scenario::groups) const PROMISE: &str = "what is said to a group reaches each member at most once, and nobody else";

pub(in crate::scenario::groups) fn breach(book: &Book) -> Option<String> {
    book.shouts.iter().enumerate().find_map(|(number, shout)| {
        let odd = |(member, times): (&usize, &u32)| {
            let (at, title) = (book.members[*member].at, book.title(shout.group.0));
            let title = format!("shout {number} in group {} of {title} to member {member} of {}", shout.group.1, book.title(at));
            if !shout.to.contains(member) {
                return Some(format!("{title}, which is not in it"));
            }
            (*times > 1).then(|| format!("{title} is handled {times} times"))
        };
        shout.handled.iter().find_map(odd)
    })
}
