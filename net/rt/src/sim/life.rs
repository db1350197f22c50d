//! One life of a simulated node: from its start to its end or its crash. A restart is another life, with sockets of its own.

use madsim::runtime::Handle;
use madsim::task::NodeId;

use super::track;
use crate::Place;

/// One life of a simulated node.
#[derive(Debug)]
pub struct Life {
    id: NodeId,
    name: String,
}

impl Life {
    /// Starts a node called `name` (in the ledger) that runs `main`.
    #[track_caller]
    pub fn start<F>(name: &str, main: F) -> Life
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let node = Handle::current().create_node().name(name).build();
        track::name_node(node.id(), name.to_string());
        crate::ledger::record("start", || name.to_string());
        drop(node.spawn(track::tracked(Some(node.id()), Place::here(), main)));
        Life { id: node.id(), name: name.to_string() }
    }

    /// No task of it runs until [`Life::resume`]: as a process that was stopped, or one that collects garbage. Timers that pass
    /// meanwhile fire late, and datagrams wait in its sockets as far as these have room.
    pub fn pause(&self) {
        crate::ledger::record("pause", || self.name.clone());
        Handle::current().pause(self.id);
    }

    /// Its tasks run again.
    pub fn resume(&self) {
        crate::ledger::record("resume", || self.name.clone());
        Handle::current().resume(self.id);
    }

    /// Ends it at once: no task of it runs again. Its futures are dropped before this future is done.
    pub async fn kill(self) {
        crate::ledger::record("kill", || self.name.clone());
        super::claims::free(self.id);
        // madsim drops the futures of one that is paused while it holds a lock, which their ends may need; so they are queued first.
        // None runs before the next line.
        Handle::current().resume(self.id);
        Handle::current().kill(self.id);
        // The executor drops a killed task when it next comes up in the ready queue; a timer passes only when that queue is empty.
        crate::sleep(std::time::Duration::from_millis(1)).await;
    }
}
