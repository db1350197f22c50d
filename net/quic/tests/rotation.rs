//! Certificates end and are replaced, while the nodes talk.
#![cfg(not(madsim))]

mod common;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::{DAY, Node, authority, by_hand, connect, identity, name, node, now, run};
use playhouse_net::{Authority, BindError, Config, Endpoint, Identity, Peer, RefusalKind, RenewError, Utc};
use playhouse_rt::Host;
use playhouse_wire::{Incarnation, Lane};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The certificate that a newcomer is shown, as hexadecimal digits: its serial number is found in them.
async fn shown(target: &Node, newcomer: &Identity) -> String {
    let client = by_hand(newcomer, Some(newcomer));
    let connection = client.connect(target.endpoint.local_addr(), "a").unwrap().await.unwrap();
    let chain = connection.peer_identity().unwrap().downcast::<Vec<CertificateDer<'static>>>().unwrap();
    chain[0].iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn says(from: &Peer, to: &mut Node, word: &'static str) {
    from.send(Lane::Data, Bytes::from_static(word.as_bytes())).await.unwrap();
    assert_eq!(to.message().await.1, word);
}

#[test]
fn a_live_connection_survives_and_a_new_one_shows_the_new_certificate() {
    run(async {
        let ca = authority();
        let (mut a, mut b) = (node(&ca, "a"), node(&ca, "b"));
        let (to_b, to_a) = connect(&mut a, &mut b, "b").await;
        let newcomer = identity(&ca, "x");
        let old = a.endpoint.identity();
        assert!(shown(&a, &newcomer).await.contains(old.certificate().serial()));

        let new = identity(&ca, "a");
        assert_ne!(new.certificate(), old.certificate());
        a.endpoint.renew(new.clone()).unwrap();
        assert_eq!(a.endpoint.identity().certificate(), new.certificate());
        let now_shown = shown(&a, &newcomer).await;
        assert!(now_shown.contains(new.certificate().serial()) && !now_shown.contains(old.certificate().serial()));
        // Were the connection another one, an end and a beginning would be heard before the words.
        says(&to_b, &mut b, "still here").await;
        says(&to_a, &mut a, "here too").await;
        assert_eq!(a.endpoint.peer(&name("b")), Some(to_b));
        assert_eq!(a.endpoint.stats().connections, 1);
    });
}

/// Ends the connection, waits for the next one, and lets both talk on it.
async fn anew(a: &mut Node, b: &mut Node) {
    let live = a.endpoint.peer(&name("b")).unwrap();
    // A wish that is new dials at once, whatever came before.
    a.endpoint.forget(&name("b"));
    live.close("another one");
    assert_eq!(a.down().await.0, live);
    b.down().await;
    let (to_b, to_a) = connect(a, b, "b").await;
    says(&to_b, b, "to b").await;
    says(&to_a, a, "to a").await;
}

#[test]
fn an_authority_is_replaced_while_two_nodes_can_always_talk() {
    run(async {
        let (old, new) = (authority(), authority());
        let (mut a, mut b) = (node(&old, "a"), node(&old, "b"));
        connect(&mut a, &mut b, "b").await;
        let both = |identity: Identity, other: &Authority| identity.also_trusting(&[&other.cert_pem()]).unwrap();

        // Trust first, then certificates, then no trust in the old one; node by node, and each step is the only one so far.
        a.endpoint.renew(both(a.endpoint.identity(), &new)).unwrap();
        anew(&mut a, &mut b).await;
        b.endpoint.renew(both(b.endpoint.identity(), &new)).unwrap();
        anew(&mut a, &mut b).await;
        a.endpoint.renew(both(identity(&new, "a"), &old)).unwrap();
        anew(&mut a, &mut b).await;
        b.endpoint.renew(both(identity(&new, "b"), &old)).unwrap();
        anew(&mut a, &mut b).await;
        a.endpoint.renew(identity(&new, "a")).unwrap();
        anew(&mut a, &mut b).await;
        b.endpoint.renew(identity(&new, "b")).unwrap();
        anew(&mut a, &mut b).await;

        // Who has only what the old one gave belongs no more, whoever dials; who never had it does.
        let (late, mut fresh) = (node(&old, "c"), node(&new, "d"));
        late.endpoint.connect(name("a"), a.endpoint.local_addr());
        let error = late.dial_error("a").await;
        assert!(error.contains("certificate"), "{error}");
        a.endpoint.connect(name("c"), late.endpoint.local_addr());
        let error = a.dial_error("c").await;
        assert!(error.contains("certificate"), "{error}");
        a.endpoint.connect(name("d"), fresh.endpoint.local_addr());
        assert_eq!((a.up().await.node(), fresh.up().await.node()), (&name("d"), &name("a")));
    });
}

#[test]
fn an_identity_of_another_node_or_cluster_or_without_an_end_ahead_is_not_taken() {
    run(async {
        let ca = authority();
        let mut a = node(&ca, "a");
        let mut b = node(&ca, "b");
        let before = a.endpoint.identity();

        let error = a.endpoint.renew(identity(&ca, "b")).unwrap_err();
        assert!(matches!(error, RenewError::OtherNode { .. }), "{error:?}");
        assert!(
            error.to_string().starts_with("`a` of cluster `demo` cannot become `b` of cluster `demo` while it runs"),
            "{error}"
        );
        let live = Authority::new("live", now()).unwrap();
        let error = a.endpoint.renew(identity(&live, "a")).unwrap_err();
        assert!(
            error.to_string().starts_with("`a` of cluster `demo` cannot become `a` of cluster `live` while it runs"),
            "{error}"
        );
        let past = Duration::from_secs(1_600_000_000);
        let error = a.endpoint.renew(ca.issue(&name("a"), past, DAY).unwrap()).unwrap_err();
        assert!(matches!(&error, RenewError::Expired { since, .. } if *since == Utc(past + DAY)), "{error}");

        // Nothing has changed.
        assert_eq!(a.endpoint.identity().certificate(), before.certificate());
        connect(&mut a, &mut b, "b").await;
        a.endpoint.close("done").await;
        assert!(matches!(a.endpoint.renew(identity(&ca, "a")), Err(RenewError::Closed)));
    });
}

struct Deaf;

impl playhouse_net::Receiver for Deaf {
    fn up(&self, _: &Peer) {}
    fn down(&self, _: &Peer, _: &str) {}
    fn messages<'a>(&'a self, _: &'a Peer, _: Lane, _: Vec<Bytes>) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(std::future::ready(()))
    }
}

#[test]
fn an_endpoint_does_not_begin_with_an_expired_certificate() {
    run(async {
        let past = Duration::from_secs(1_600_000_000);
        let expired = authority().issue(&name("a"), past, DAY).unwrap();
        let config = Config::new("127.0.0.1:0".parse().unwrap(), expired, Incarnation(1));
        let error = Endpoint::bind(&Host::os(), config, Arc::new(Deaf)).unwrap_err();
        assert!(matches!(error, BindError::Expired { .. }), "{error:?}");
        assert!(error.to_string().starts_with("the certificate of a has expired at 2020-09-14T12:26:40Z"), "{error}");
    });
}

/// An endpoint of QUIC that shows `identity`, whatever is wrong with it.
fn answering(identity: &Identity) -> quinn::Endpoint {
    let pem = identity.to_pem();
    let chain = vec![CertificateDer::from_pem_slice(pem.cert.as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(pem.key.as_bytes()).unwrap();
    let mut tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    tls.alpn_protocols = vec![b"playhouse/1".to_vec()];
    let crypto = quinn::crypto::rustls::QuicServerConfig::try_from(tls).unwrap();
    quinn::Endpoint::server(quinn::ServerConfig::with_crypto(Arc::new(crypto)), "127.0.0.1:0".parse().unwrap()).unwrap()
}

#[test]
fn an_expired_certificate_is_refused() {
    run(async {
        let ca = authority();
        let a = node(&ca, "a");
        let expired = ca.issue(&name("b"), Duration::from_secs(1_600_000_000), DAY).unwrap();
        let b = answering(&expired);
        a.endpoint.connect(name("b"), b.local_addr().unwrap());
        playhouse_rt::spawn(async move {
            while let Some(incoming) = b.accept().await {
                assert!(incoming.await.is_err(), "it was believed");
            }
        });
        let error = a.dial_error("b").await;
        assert!(error.contains("expired"), "{error}");
        a.endpoint.forget(&name("b"));
        // And the other way round: it is the dialler whose certificate has expired.
        let client = by_hand(&expired, Some(&expired));
        let connection = client.connect(a.endpoint.local_addr(), "a").unwrap().await;
        let error = match connection {
            Ok(connection) => connection.closed().await.to_string(),
            Err(error) => error.to_string(),
        };
        assert!(error.contains("certificate") || error.contains("cryptographic"), "{error}");
        assert_eq!(a.endpoint.stats().connections, 0);
        assert!(a.endpoint.stats().refused(RefusalKind::Tls) > 0);
    });
}
