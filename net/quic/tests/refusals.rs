//! Who is refused, and what both sides say about it.
#![cfg(not(madsim))]

mod common;

use std::time::Duration;

use common::{DAY, Wanted, authority, by_hand, connect, hello, hostile, identity, name, node, now, run, say};
use playhouse_net::{Authority, CertError, Identity, RefusalKind};
use playhouse_rt::Host;

/// What a hand-made connection is told at its end.
async fn told(connection: &quinn::Connection) -> String {
    match connection.closed().await {
        quinn::ConnectionError::ApplicationClosed(close) => String::from_utf8(close.reason.to_vec()).unwrap(),
        other => other.to_string(),
    }
}

#[test]
fn a_node_of_another_authority_is_refused_with_the_reason() {
    run(async {
        let (ours, theirs) = (authority(), authority());
        let (a, b) = (node(&ours, "a"), node(&theirs, "b"));
        a.endpoint.connect(name("b"), b.endpoint.local_addr());
        let error = a.dial_error("b").await;
        assert!(error.contains("TLS handshake failed") && error.contains("certificate"), "{error}");
        assert!(a.endpoint.stats().refused(RefusalKind::Tls) > 0);
        assert_eq!(a.endpoint.stats().connections + b.endpoint.stats().connections, 0);
    });
}

#[test]
fn a_dialler_of_another_authority_is_refused_by_the_one_it_dials() {
    run(async {
        let (ours, theirs) = (authority(), authority());
        let a = node(&ours, "a");
        let stranger = identity(&theirs, "b");
        // Trusts our authority, and shows a certificate of its own.
        let client = by_hand(&identity(&ours, "x"), Some(&stranger));
        let error = match client.connect(a.endpoint.local_addr(), "a").unwrap().await {
            Ok(connection) => told(&connection).await,
            Err(error) => error.to_string(),
        };
        assert!(error.contains("certificate") || error.contains("cryptographic"), "{error}");
        a.refused(RefusalKind::Tls, 1).await;
    });
}

#[test]
fn a_certificate_of_another_node_is_refused() {
    run(async {
        let ca = authority();
        let (a, b) = (node(&ca, "a"), node(&ca, "b"));
        a.endpoint.connect(name("c"), b.endpoint.local_addr());
        let error = a.dial_error("c").await;
        assert!(error.contains("for another node, DnsName(\"b\")"), "{error}");
        assert_eq!(b.endpoint.stats().connections, 0);
    });
}

#[test]
fn a_peer_without_a_certificate_is_refused() {
    run(async {
        let ca = authority();
        let a = node(&ca, "a");
        let client = by_hand(&identity(&ca, "b"), None);
        let error = match client.connect(a.endpoint.local_addr(), "a").unwrap().await {
            Ok(connection) => told(&connection).await,
            Err(error) => error.to_string(),
        };
        assert!(error.contains("certificate"), "{error}");
        a.refused(RefusalKind::Tls, 1).await;
    });
}

#[test]
fn a_hello_that_says_other_than_the_certificate_is_refused() {
    run(async {
        let ca = authority();
        let a = node(&ca, "a");
        let b = identity(&ca, "b");
        let client = by_hand(&b, Some(&b));
        let mut other_version = hello("b", "demo");
        other_version.version = 7;
        for (hello, reason, kind) in [
            (hello("c", "demo"), "the hello says `c`, but the certificate proves `b`", RefusalKind::Name),
            (hello("b", "live"), "this is cluster `demo`, not `live`", RefusalKind::Cluster),
            (other_version, "wire version 7 is not spoken here", RefusalKind::Version),
        ] {
            let connection = client.connect(a.endpoint.local_addr(), "a").unwrap().await.unwrap();
            let _system = say(&connection, &hello).await;
            let told = told(&connection).await;
            assert!(told.contains(reason), "{told}");
            assert_eq!(a.endpoint.stats().refused(kind), 1);
        }
        assert_eq!(a.endpoint.stats().connections, 0);
    });
}

#[test]
fn a_node_of_the_same_name_is_refused_and_the_dialler_knows_why() {
    run(async {
        let ca = authority();
        let (a, twin) = (node(&ca, "a"), node(&ca, "a"));
        a.endpoint.connect(name("a"), twin.endpoint.local_addr());
        let error = a.dial_error("a").await;
        assert!(error.contains("refused by the peer") && error.contains("a name of its own"), "{error}");
        assert!(twin.endpoint.stats().refused(RefusalKind::Name) > 0);
    });
}

#[test]
fn a_cluster_of_the_same_authority_name_is_another_cluster() {
    run(async {
        // Two authorities with different clusters: TLS refuses before any hello.
        let other = Authority::new("live", now()).unwrap();
        let (a, b) = (node(&authority(), "a"), node(&other, "b"));
        a.endpoint.connect(name("b"), b.endpoint.local_addr());
        assert!(a.dial_error("b").await.contains("TLS"));
    });
}

#[test]
fn an_earlier_life_of_a_connected_node_is_refused() {
    run(async {
        let ca = authority();
        let mut a = node(&ca, "a");
        let mut later = Wanted { incarnation: 9, ..Wanted::new(identity(&ca, "b")) }.bind();
        let (to_b, _) = connect(&mut a, &mut later, "b").await;
        let earlier = Wanted { incarnation: 8, ..Wanted::new(identity(&ca, "b")) }.bind();
        earlier.endpoint.connect(name("a"), a.endpoint.local_addr());
        let error = earlier.dial_error("a").await;
        assert!(error.contains("b #8 is an earlier life; #9 is connected"), "{error}");
        assert!(a.endpoint.stats().refused(RefusalKind::Stale) > 0);
        assert_eq!(a.endpoint.peer(&name("b")), Some(to_b));
    });
}

#[test]
fn nobody_there_is_an_error_that_says_so() {
    run(async {
        let ca = authority();
        let a = node(&ca, "a");
        a.endpoint.connect(name("b"), "[::1]:9".parse().unwrap());
        let error = a.dial_error("b").await;
        assert!(error.contains("cannot dial [::1]:9"), "{error}");
        a.endpoint.forget(&name("b"));
        assert_eq!(a.endpoint.last_error(&name("b")), None);
    });
}

#[test]
fn a_second_connection_of_the_same_life_replaces_the_first() {
    run(async {
        let ca = authority();
        let mut a = node(&ca, "a");
        let (first, _system) = hostile(&mut a, &ca, "b").await;
        let b = identity(&ca, "b");
        let client = by_hand(&b, Some(&b));
        let second = client.connect(a.endpoint.local_addr(), "a").unwrap().await.unwrap();
        let _system = say(&second, &hello("b", "demo")).await;
        let (old, reason) = a.down().await;
        assert!(reason.contains("replaced"), "{reason}");
        assert_ne!(a.up().await, old);
        assert!(told(&first).await.contains("replaced"));
    });
}

#[test]
fn certificates_survive_as_pem_and_their_parts_must_fit() {
    let ca = authority();
    let again = Authority::from_pem(&ca.cert_pem(), &ca.key_pem()).unwrap();
    assert_eq!(again.cluster(), "demo");
    let (b, c) = (identity(&again, "b"), identity(&ca, "c"));
    let (b_pem, c_pem) = (b.to_pem(), c.to_pem());
    let read = Identity::from_pem(&b_pem.cert, &b_pem.key, &ca.cert_pem()).unwrap();
    assert_eq!((read.node(), read.cluster(), read.to_pem()), (&name("b"), "demo", b_pem.clone()));

    assert!(matches!(Identity::from_pem(&b_pem.cert, &c_pem.key, &b_pem.ca), Err(CertError::WrongKey)));
    let other = authority();
    assert!(matches!(Identity::from_pem(&b_pem.cert, &b_pem.key, &other.cert_pem()), Err(CertError::WrongAuthority(_))));
    assert!(matches!(Authority::from_pem(&ca.cert_pem(), &other.key_pem()), Err(CertError::WrongKey)));
    assert!(matches!(Identity::from_pem("", &b_pem.key, &b_pem.ca), Err(CertError::BadPem { what: "certificate", .. })));
    assert!(matches!(Identity::from_pem(&b_pem.cert, &b_pem.cert, &b_pem.ca), Err(CertError::BadPem { what: "key", .. })));
    assert!(matches!(Identity::from_pem(&b_pem.cert, &b_pem.key, &b_pem.cert), Err(CertError::NoCluster)));
    // An authority is no node.
    assert!(Identity::from_pem(&ca.cert_pem(), &ca.key_pem(), &ca.cert_pem()).is_err());
}

#[test]
fn names_and_times_that_no_certificate_can_bear_are_refused() {
    let ca = authority();
    for bad in ["", "two words", "ä", &"x".repeat(200)] {
        assert!(matches!(Authority::new(bad, now()), Err(CertError::BadCluster(_))), "{bad}");
    }
    for bad in ["10.0.0.1", "a..b", "-a", "a.7"] {
        assert!(matches!(ca.issue(&name(bad), now(), DAY), Err(CertError::BadNode(_))), "{bad}");
    }
    assert!(matches!(ca.issue(&name("b"), now(), DAY * 10_000), Err(CertError::BadValidity(..))));
    assert!(matches!(ca.issue(&name("b"), Duration::ZERO, DAY), Err(CertError::BadValidity(..))));
}

#[test]
fn keys_are_in_no_debug_output() {
    run(async {
        let ca = authority();
        let b = identity(&ca, "b");
        let config = playhouse_net::Config::new("127.0.0.1:0".parse().unwrap(), b.clone(), Default::default());
        let shown = format!("{ca:?} {b:?} {:?} {config:?} {:#?}", b.to_pem(), Host::os());
        for secret in [ca.key_pem(), b.to_pem().key] {
            for line in secret.lines().filter(|line| !line.starts_with('-')) {
                assert!(!shown.contains(line), "{shown}");
            }
        }
        assert!(!shown.contains("PRIVATE"));
    });
}
