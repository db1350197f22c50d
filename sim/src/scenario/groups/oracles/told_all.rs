//! What is said to a group reaches each member that lives on and has room, where the connection to it lasts; and who says it is told how many
//! took it, and how many missed it for want of room.

use crate::scenario::groups::book::{Book, Shout};
use crate::scenario::trio::{Index, Phase, State, phase, place_of, spared, state};

pub(in crate::scenario::groups) const PROMISE: &str =
    "what is said to a group reaches each member that lives and has room, and the count of them is right";

pub(in crate::scenario::groups) fn breach(book: &Book) -> Option<String> {
    let settled = phase() == Phase::Settled;
    book.shouts.iter().enumerate().find_map(|(number, shout)| {
        let told = shout.told?;
        let title = || format!("shout {number} in group {} of {}", shout.group.1, book.title(shout.group.0));
        let handled = shout.handled.len();
        if handled > told.told || told.told + told.missed > shout.to.len() {
            return Some(format!("{}: {} members, {told:?}, {handled} handled it", title(), shout.to.len()));
        }
        if !settled {
            return None;
        }
        let silent = shout.to.iter().find(|member| must_hear(book, shout, **member) && !shout.handled.contains_key(member));
        silent.map(|member| format!("{}: member {member} of {} has not heard it", title(), book.title(book.members[*member].at)))
    })
}

fn must_hear(book: &Book, shout: &Shout, member: Index) -> bool {
    let (from, member) = (shout.group.0, &book.members[member]);
    let far = from != member.at;
    // From another node a full mailbox is waited for.
    let has_room = member.roomy || far;
    has_room && !member.ends && state(member.at) == State::Up && spared(place_of(from), place_of(member.at))
}
