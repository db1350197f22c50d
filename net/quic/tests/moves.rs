//! Nodes that move to another address, nodes that only dial out, and what is known of live connections.
#![cfg(not(madsim))]

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{Wanted, authority, connect, identity, name, node, run};
use playhouse_net::{BindError, RefusalKind};
use playhouse_wire::Lane;

const ANYWHERE: &str = "127.0.0.1:0";

#[test]
fn a_dialler_moves_and_its_connection_goes_on() {
    run(async {
        let ca = authority();
        let (mut a, mut b) = (node(&ca, "a"), node(&ca, "b"));
        let (to_b, to_a) = connect(&mut a, &mut b, "b").await;
        let first = a.endpoint.local_addr();
        assert_eq!(to_a.remote_addr(), first);
        let mut number = 0u32;
        for _ in 0..3 {
            for _ in 0..300 {
                to_b.send(Lane::Data, Bytes::copy_from_slice(&number.to_le_bytes())).await.unwrap();
                number += 1;
            }
            // While much is under way.
            let before = a.endpoint.local_addr();
            a.endpoint.rebind(ANYWHERE.parse().unwrap()).unwrap();
            assert_ne!(a.endpoint.local_addr(), before);
        }
        for number in 0..900u32 {
            // Nothing else is heard in between: neither end takes the connection for another one.
            assert_eq!(b.message().await, (Lane::Data, Bytes::copy_from_slice(&number.to_le_bytes())));
        }
        // The answer goes to the new address.
        to_a.send(Lane::Data, Bytes::from_static(b"there you are")).await.unwrap();
        assert_eq!(a.message().await.1, "there you are");
        to_b.send(Lane::Data, Bytes::from_static(b"yes")).await.unwrap();
        assert_eq!(b.message().await.1, "yes");
        assert_eq!((a.endpoint.peer(&name("b")), b.endpoint.peer(&name("a"))), (Some(to_b), Some(to_a.clone())));
        assert_eq!(to_a.remote_addr(), a.endpoint.local_addr());
        assert_eq!(to_a.health().remote_addr, a.endpoint.local_addr());
        assert_eq!((a.endpoint.stats().connections, b.endpoint.stats().connections), (1, 1));

        let last = a.endpoint.local_addr();
        a.endpoint.close("moved enough").await;
        for address in [first, last] {
            std::net::UdpSocket::bind(address).expect("the address is free");
        }
        assert!(matches!(a.endpoint.rebind(ANYWHERE.parse().unwrap()), Err(BindError::Closed)));
    });
}

#[test]
fn an_address_that_is_taken_moves_nobody() {
    run(async {
        let ca = authority();
        let (mut a, mut b) = (node(&ca, "a"), node(&ca, "b"));
        let (to_b, _) = connect(&mut a, &mut b, "b").await;
        let before = a.endpoint.local_addr();
        assert!(matches!(a.endpoint.rebind(b.endpoint.local_addr()), Err(BindError::Address { .. })));
        assert_eq!(a.endpoint.local_addr(), before);
        to_b.send(Lane::Data, Bytes::from_static(b"still here")).await.unwrap();
        assert_eq!(b.message().await.1, "still here");
    });
}

#[test]
fn one_that_is_dialled_may_move_and_is_found_at_its_new_address() {
    run(async {
        let ca = authority();
        let mut a = node(&ca, "a");
        let mut b = Wanted { idle_timeout: Duration::from_millis(500), ..Wanted::new(identity(&ca, "b")) }.bind();
        let (old, _) = connect(&mut a, &mut b, "b").await;
        b.endpoint.rebind(ANYWHERE.parse().unwrap()).unwrap();
        a.endpoint.connect(name("b"), b.endpoint.local_addr());
        assert_eq!(a.down().await.0, old);
        let new = a.up().await;
        assert_eq!(new.remote_addr(), b.endpoint.local_addr());
    });
}

#[test]
fn a_node_that_nobody_can_dial_talks_both_ways() {
    run(async {
        let ca = authority();
        let mut hub = node(&ca, "hub");
        let mut inside = Wanted { dial_only: true, ..Wanted::new(identity(&ca, "inside")) }.bind();
        // Also when the other one wishes for it, under an address where it is not.
        hub.endpoint.connect(name("inside"), "[::1]:9".parse().unwrap());
        let (to_hub, to_inside) = connect(&mut inside, &mut hub, "hub").await;
        for number in 0..100u32 {
            let message = Bytes::copy_from_slice(&number.to_le_bytes());
            to_hub.send(Lane::Data, message.clone()).await.unwrap();
            assert_eq!(hub.message().await, (Lane::Data, message.clone()));
            to_inside.send(Lane::Control, message.clone()).await.unwrap();
            assert_eq!(inside.message().await, (Lane::Control, message));
        }

        // Whoever finds out its address is refused, and what is connected stays.
        let other = node(&ca, "other");
        other.endpoint.connect(name("inside"), inside.endpoint.local_addr());
        let error = other.dial_error("inside").await;
        assert!(error.contains("takes no connections"), "{error}");
        assert!(inside.endpoint.stats().refused(RefusalKind::DialOnly) > 0);
        assert_eq!(inside.endpoint.peers(), [to_hub]);
    });
}

#[test]
fn health_and_peers_show_what_lives() {
    run(async {
        let ca = authority();
        let (mut a, mut b, mut c) = (node(&ca, "a"), node(&ca, "b"), node(&ca, "c"));
        assert_eq!(b.endpoint.peers(), []);
        let (to_c, _) = connect(&mut b, &mut c, "c").await;
        let (_, to_a) = connect(&mut a, &mut b, "b").await;
        assert_eq!(b.endpoint.peers(), [to_a.clone(), to_c.clone()]);

        let before = to_c.health();
        to_c.send(Lane::Bulk, Bytes::from(vec![7; 3_000_000])).await.unwrap();
        c.message().await;
        let after = to_c.health();
        assert_eq!(after.remote_addr, c.endpoint.local_addr());
        assert!(after.bytes_sent - before.bytes_sent > 3_000_000 && after.bytes_received > before.bytes_received);
        assert!(after.sent_packets > before.sent_packets && after.lost_packets <= after.sent_packets);
        assert!(after.rtt > Duration::ZERO && after.cwnd > 0 && after.current_mtu >= 1200);
        assert!(after.age > before.age);

        to_c.close("enough");
        to_c.closed().await;
        assert_eq!(b.endpoint.peers(), [to_a]);
        // The last figures stay, and move no more.
        let last = to_c.health();
        assert!(last.bytes_sent >= after.bytes_sent && last.age >= after.age);
        assert_eq!((to_c.health(), to_c.remote_addr()), (last, c.endpoint.local_addr()));
    });
}
