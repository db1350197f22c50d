//! Actors stop in the reverse order of their start; and when a system has stopped, nothing of it runs.

use crate::scenario::actors::book::{Book, DISTURBANCE, Index, NodeLife};

pub(in crate::scenario::actors) const PROMISE: &str = "who was started last stops first, and after the stop nothing runs";

impl Book {
    /// A node has stopped.
    pub(in crate::scenario::actors) fn check_ends(&mut self, node: Index) {
        if let Some(name) = self.lives.iter().find(|life| life.node == node && !life.over).map(|life| life.name) {
            self.breach(PROMISE, |book| format!("{} lives after its system has stopped", book.title(node, name)));
        }
        let ends = std::mem::take(&mut self.nodes[node].ends);
        let NodeLife { disturbed, stops_at, .. } = self.nodes[node];
        // A supervisor that gives up at the same time stops its children before it is their turn: then only siblings have an order.
        let calm = disturbed.zip(stops_at).is_none_or(|(disturbed, stops)| disturbed + DISTURBANCE < stops);
        let parent = |rank: &[u32; 3]| (rank[0], if rank[2] == 0 { 0 } else { rank[1] });
        for (at, first) in ends.iter().enumerate() {
            let later = ends[at..].iter().filter(|later| calm || parent(first) == parent(later));
            if let Some(later) = later.into_iter().find(|later| first < *later) {
                self.breach(PROMISE, |_| format!("{first:?} stopped before {later:?}, which was started later: {ends:?}"));
            }
        }
    }

    /// Something of a node runs.
    pub(in crate::scenario::actors) fn check_running(&mut self, node: Index, what: impl FnOnce(&Book) -> String) {
        let gone = self.gone(node);
        self.check(PROMISE, !gone, |book| format!("after the end of its system: {}", what(book)));
    }
}
