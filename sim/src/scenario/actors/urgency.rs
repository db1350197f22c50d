//! A mailbox gives out the more urgent first: no note is handled while a more urgent one of its node waits in the same mailbox.

use super::URGENT;
use super::book::{Book, Index};

/// A note of its own node that waits in a mailbox.
pub(super) struct Urgent {
    id: u64,
    /// The higher, the more urgent.
    priority: usize,
}

impl Book {
    /// A note waits for this actor, or does so no more.
    pub(super) fn waits(&mut self, cell: Index, id: u64, does: bool) {
        let priority = self.streams[self.notes[id as usize].stream].priority;
        let waiting = &mut self.cells[cell].waiting;
        if does { waiting.push(Urgent { id, priority }) } else { waiting.retain(|note| note.id != id) }
    }

    /// A note is handled now.
    pub(super) fn check_urgency(&mut self, id: u64) {
        let stream = &self.streams[self.notes[id as usize].stream];
        let (Some(cell), priority) = (stream.cell, stream.priority) else { return };
        let mut waiting = self.cells[cell].waiting.iter();
        let Some(first) = waiting.find(|note| note.priority > priority).map(|note| note.id) else { return };
        self.breach(URGENT, |book| {
            format!("{} is handled while {} waits, which is more urgent", book.describe(id), book.describe(first))
        });
    }
}
