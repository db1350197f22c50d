//! Connections between nodes: QUIC with mutual TLS, and on each connection four lanes of messages.
//!
//! What it refuses: a peer that cannot prove its name with a certificate of the cluster, before it can say a word; plaintext, resumed
//! sessions and early data, always; and anything beyond a bound in [`limits`]. It knows nodes, lanes and bytes. It does not know
//! actors, retries of messages or who belongs to the cluster, and it delivers at most once: what a broken connection had under way is
//! lost, and [`Receiver::down`] says so.
//!
//! Beside the lanes go datagrams ([`Peer::try_send_datagram`]): short, never waiting, and lost when the path has no room for them.
//!
//! A [`Receiver`] is told of connections and messages, an [`Endpoint`] keeps the connections, a [`Peer`] is one of them.
//!
//! Of two nodes that dial each other at once, both keep the connection that the one with the smaller name dialled.

mod accept;
mod adapter;
mod certificate;
mod certs;
#[doc(hidden)]
pub mod check;
mod datagram;
mod der;
mod dial;
mod endpoint;
mod files;
mod health;
mod hello;
mod identity;
mod keylog;
mod lanes;
pub mod limits;
mod link;
mod peer;
mod queue;
mod refusal;
mod renew;
mod signal;
mod stats;
mod table;
mod tls;
mod utc;

pub use certificate::Certificate;
pub use certs::{Authority, CertError};
pub use datagram::DatagramError;
#[doc(hidden)]
pub use endpoint::Planted;
pub use endpoint::{BindError, Config, Endpoint, NameAtError};
pub use files::{FileError, FileWarning, Loaded};
pub use health::Health;
pub use identity::{Identity, IdentityPem};
pub use peer::{Peer, Receiver};
pub use queue::SendError;
pub use refusal::RefusalKind;
pub use renew::RenewError;
pub use stats::Stats;
pub use utc::Utc;
