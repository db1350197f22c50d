//! A mailbox gives out the more urgent first: no note is handled while a more urgent one of its node waits in the same mailbox.

use crate::scenario::actors::book::{Book, Index};

pub(in crate::scenario::actors) const PROMISE: &str = "what waits in a mailbox is handled the more urgent first";

/// A note of its own node that waits in a mailbox.
pub(in crate::scenario::actors) struct Urgent {
    id: u64,
    /// The higher, the more urgent.
    priority: usize,
}

impl Book {
    /// A note waits for this actor, or does so no more.
    pub(in crate::scenario::actors) fn waits(&mut self, cell: Index, id: u64, does: bool) {
        let priority = self.streams[self.notes[id as usize].stream].priority;
        let waiting = &mut self.cells[cell].waiting;
        if does { waiting.push(Urgent { id, priority }) } else { waiting.retain(|note| note.id != id) }
    }

    /// A note is handled now.
    pub(in crate::scenario::actors) fn check_urgency(&mut self, id: u64) {
        let stream = &self.streams[self.notes[id as usize].stream];
        let (Some(cell), priority) = (stream.cell, stream.priority) else { return };
        let mut waiting = self.cells[cell].waiting.iter();
        let Some(first) = waiting.find(|note| note.priority > priority).map(|note| note.id) else { return };
        self.breach(PROMISE, |book| {
            format!("{} is handled while {} waits, which is more urgent", book.describe(id), book.describe(first))
        });
    }
}
