//! One life of a simulated node: from its start to its end or its crash. A restart is another life, with sockets of its own.

use madsim::runtime::Handle;
use madsim::task::NodeId;

use super::ledger;

/// One life of a simulated node.
#[derive(Debug)]
pub struct Life {
    id: NodeId,
    name: String,
}

impl Life {
    /// Starts a node called `name` (in the ledger) that runs `main`.
    pub fn start<F>(name: &str, main: F) -> Life
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let node = Handle::current().create_node().name(name).build();
        ledger::name_node(node.id(), name.to_string());
        crate::ledger::record("start", || name.to_string());
        drop(node.spawn(main));
        Life { id: node.id(), name: name.to_string() }
    }

    /// Ends it at once: no task of it runs again. Its futures are dropped before this future is done.
    pub async fn kill(self) {
        crate::ledger::record("kill", || self.name.clone());
        super::claims::free(self.id);
        Handle::current().kill(self.id);
        // The executor drops a killed task when it next comes up in the ready queue; a timer passes only when that queue is empty.
        crate::sleep(std::time::Duration::from_millis(1)).await;
    }
}
