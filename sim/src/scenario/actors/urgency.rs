//! A mailbox gives out the more urgent first: no note is handled while a more urgent one waits that was told before it was made.

use super::URGENT;
use super::book::{Book, Index};

/// A note of its own node that waits in a mailbox.
pub(super) struct Urgent {
    id: u64,
    /// The higher, the more urgent.
    priority: usize,
    /// How many notes had been made when it was told: those with a higher number came later.
    before: u64,
}

impl Book {
    /// A note waits for this actor, or does so no more.
    pub(super) fn waits(&mut self, cell: Index, id: u64, does: bool) {
        let (priority, before) = (self.streams[self.notes[id as usize].stream].priority, self.notes.len() as u64);
        let waiting = &mut self.cells[cell].waiting;
        if does { waiting.push(Urgent { id, priority, before }) } else { waiting.retain(|note| note.id != id) }
    }

    /// A note is handled now.
    pub(super) fn check_urgency(&mut self, id: u64) {
        let stream = &self.streams[self.notes[id as usize].stream];
        let (Some(cell), priority) = (stream.cell, stream.priority) else { return };
        let mut waiting = self.cells[cell].waiting.iter();
        let Some(first) = waiting.find(|note| note.priority > priority && note.before <= id).map(|note| note.id) else { return };
        self.breach(URGENT, |book| {
            format!("{} is handled while {} waits, which is more urgent and came before", book.describe(id), book.describe(first))
        });
    }
}
