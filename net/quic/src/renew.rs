//! What an endpoint proves itself with, and how that is replaced while it runs.

use std::sync::Mutex;
use std::time::Duration;

use playhouse_rt::Host;
use playhouse_wire::NodeName;
use quinn::{ClientConfig, ServerConfig};
use rustls::pki_types::CertificateDer;

use crate::certificate::Certificate;
use crate::endpoint::{BindError, Planted};
use crate::identity::{Identity, soon};
use crate::signal::lock;
use crate::tls::{self, Configs};
use crate::utc::Utc;

/// An endpoint did not take another identity. It goes on with the one that it has.
#[derive(thiserror::Error)]
pub enum RenewError {
    /// The identity is another node's, or of another cluster.
    #[error(
        "`{ours}` of cluster `{our_cluster}` cannot become `{theirs}` of cluster `{their_cluster}` while it runs; \
         renew with a certificate of the same node and cluster, or start another node"
    )]
    OtherNode {
        /// The node that the endpoint is.
        ours: NodeName,
        /// Its cluster.
        our_cluster: String,
        /// The node that the identity names.
        theirs: NodeName,
        /// The cluster of the identity's authorities.
        their_cluster: String,
    },
    /// Nobody would believe the certificate.
    #[error(
        "the new certificate of {node} has expired already, at {since}; issue another one (if the clock of this host is right)"
    )]
    Expired {
        /// The node that it names.
        node: NodeName,
        /// When it expired.
        since: Utc,
    },
    /// The identity cannot be used.
    #[error("the new identity cannot be used: {0}")]
    Unusable(String),
    /// The endpoint is closed.
    #[error("the endpoint is closed; bind another one with the new identity")]
    Closed,
}

impl std::fmt::Debug for RenewError {
    /// As for people: a `main` that gives it shows it so.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// What an endpoint proves itself with now.
pub(crate) struct Credentials {
    idle: Duration,
    planted: Planted,
    now: Mutex<Now>,
}

struct Now {
    identity: Identity,
    configs: Configs,
    /// Whether it was said that the identity expires soon.
    said: bool,
}

impl Credentials {
    /// Gives the settings of the answering side too.
    pub(crate) fn new(
        host: &Host,
        identity: Identity,
        idle: Duration,
        planted: Planted,
    ) -> Result<(Credentials, ServerConfig), BindError> {
        if let Some(since) = expired(host, &identity) {
            return Err(BindError::Expired { node: identity.node().clone(), since });
        }
        let configs = tls::configs(host, &identity, idle, planted).map_err(BindError::Config)?;
        let (server, said) = (configs.server.clone(), warn_of_own(host, &identity));
        let now = Mutex::new(Now { identity, configs, said });
        Ok((Credentials { idle, planted, now }, server))
    }

    /// Gives the new settings of the answering side.
    pub(crate) fn renew(&self, host: &Host, identity: Identity) -> Result<ServerConfig, RenewError> {
        let mut now = lock(&self.now);
        if (now.identity.node(), now.identity.cluster()) != (identity.node(), identity.cluster()) {
            return Err(RenewError::OtherNode {
                ours: now.identity.node().clone(),
                our_cluster: now.identity.cluster().to_string(),
                theirs: identity.node().clone(),
                their_cluster: identity.cluster().to_string(),
            });
        }
        if let Some(since) = expired(host, &identity) {
            return Err(RenewError::Expired { node: identity.node().clone(), since });
        }
        let mut configs = tls::configs(host, &identity, self.idle, self.planted).map_err(RenewError::Unusable)?;
        // All but the certificates stays, above all the secret in address tokens: a dialler that was asked to prove its address
        // before this comes back after it.
        let fresh = configs.server.crypto.clone();
        configs.server = now.configs.server.clone();
        configs.server.crypto = fresh;
        now.configs = configs;
        now.said = warn_of_own(host, &identity);
        tracing::info!(
            node = %identity.node(), serial = identity.certificate().serial(), until = %Utc(identity.valid_until()),
            "the certificate was renewed"
        );
        now.identity = identity;
        Ok(now.configs.server.clone())
    }

    pub(crate) fn identity(&self) -> Identity {
        lock(&self.now).identity.clone()
    }

    /// The settings of the dialling side.
    pub(crate) fn client(&self) -> ClientConfig {
        lock(&self.now).configs.client.clone()
    }

    /// Those to learn the name of a node.
    pub(crate) fn asking(&self) -> ClientConfig {
        lock(&self.now).configs.asking.clone()
    }

    /// After a handshake: says when the peer's certificate expires soon, or (once) our own.
    pub(crate) fn look(&self, host: &Host, peer: &NodeName, leaf: &CertificateDer<'_>) {
        let mut now = lock(&self.now);
        if !now.said {
            now.said = warn_of_own(host, &now.identity);
        }
        let node = now.identity.node().clone();
        drop(now);
        // A certificate that cannot be read so far was verified all the same; then there is nothing to say.
        if let Ok(certificate) = Certificate::from_der(leaf.clone().into_owned()) {
            let left = certificate.valid_until().saturating_sub(host.wall_clock());
            if left < soon(&certificate) {
                let until = Utc(certificate.valid_until());
                tracing::warn!(%node, %peer, %until, days_left = days(left), "the peer's certificate expires soon");
            }
        }
    }
}

fn expired(host: &Host, identity: &Identity) -> Option<Utc> {
    let until = identity.valid_until();
    // TLS counts whole seconds, and the last one is still good.
    (host.wall_clock().as_secs() > until.as_secs()).then_some(Utc(until))
}

/// Gives whether there was something to say.
fn warn_of_own(host: &Host, identity: &Identity) -> bool {
    let now = host.wall_clock();
    let is_soon = identity.expires_soon(now);
    if is_soon {
        let (until, left) = (Utc(identity.valid_until()), identity.valid_until().saturating_sub(now));
        tracing::warn!(
            node = %identity.node(), %until, days_left = days(left),
            "the node's certificate expires soon; issue a new one and renew the endpoint, or others will refuse it"
        );
    }
    is_soon
}

fn days(left: Duration) -> u64 {
    left.as_secs() / (24 * 60 * 60)
}

#[cfg(all(test, not(madsim)))]
mod tests {
    use std::fmt::Write;
    use std::sync::Arc;

    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Level, Metadata, Subscriber};

    use super::*;
    use crate::certs::Authority;
    use crate::limits::IDLE_TIMEOUT;

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    /// Writes down the warnings of its thread.
    #[derive(Clone, Default)]
    struct Warnings(Arc<Mutex<Vec<String>>>);

    impl Warnings {
        fn take(&self) -> Vec<String> {
            std::mem::take(&mut lock(&self.0))
        }
    }

    struct Line(String);

    impl Visit for Line {
        fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
            let _ = write!(self.0, "{field}={value:?} ");
        }
    }

    impl Subscriber for Warnings {
        fn enabled(&self, metadata: &Metadata<'_>) -> bool {
            metadata.target().starts_with("playhouse_net")
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, event: &Event<'_>) {
            let mut line = Line(String::new());
            event.record(&mut line);
            if *event.metadata().level() == Level::WARN {
                lock(&self.0).push(line.0);
            }
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn an_expiry_is_warned_about_once_for_each_identity_and_at_each_handshake_of_a_peer() {
        let warnings = Warnings::default();
        tracing::subscriber::with_default(warnings.clone(), || {
            let host = Host::os();
            let now = host.wall_clock();
            let authority = Authority::new("demo", now).unwrap();
            let issue = |node: &str, from: Duration, until: Duration| {
                authority.issue(&node.parse().unwrap(), from, until.saturating_sub(from)).unwrap()
            };
            let (fresh, old) = (issue("a", now, now + DAY * 365), issue("a", now - DAY * 300, now + DAY * 20));
            let (peer, old_peer) = (issue("b", now, now + DAY * 365), issue("b", now - DAY * 300, now + DAY * 10));
            let b = peer.node().clone();

            let (credentials, _) = Credentials::new(&host, fresh.clone(), IDLE_TIMEOUT, Planted::default()).unwrap();
            credentials.look(&host, &b, &peer.chain().unwrap()[0]);
            assert_eq!(warnings.take(), [""; 0]);

            credentials.renew(&host, old.clone()).unwrap();
            credentials.look(&host, &b, &peer.chain().unwrap()[0]);
            let said = warnings.take();
            assert!(said.len() == 1 && said[0].contains("node=a") && said[0].contains("the node's certificate"), "{said:?}");
            assert!(said[0].contains("days_left=19") || said[0].contains("days_left=20"), "{said:?}");

            credentials.look(&host, &b, &old_peer.chain().unwrap()[0]);
            let said = warnings.take();
            assert!(said.len() == 1 && said[0].contains("peer=b") && said[0].contains("the peer's certificate"), "{said:?}");

            credentials.renew(&host, fresh).unwrap();
            assert_eq!(warnings.take(), [""; 0]);
            drop(Credentials::new(&host, old, IDLE_TIMEOUT, Planted::default()).unwrap());
            assert_eq!(warnings.take().len(), 1);
        });
    }
}
