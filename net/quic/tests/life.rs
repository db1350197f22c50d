//! Connections come, go and come again.
#![cfg(not(madsim))]

mod common;

use bytes::Bytes;
use common::{Event, Node, Wanted, authority, connect, identity, name, node, run};
use playhouse_net::Peer;
use playhouse_wire::{Incarnation, Lane};

#[test]
fn a_peer_that_starts_anew_at_its_address_is_found_again() {
    run(async {
        let ca = authority();
        let (mut a, mut b) = (node(&ca, "a"), node(&ca, "b"));
        let (old, _) = connect(&mut a, &mut b, "b").await;
        assert_eq!(old.incarnation(), Incarnation(1));
        let listen = b.endpoint.local_addr();
        b.endpoint.close("restart").await;
        assert_eq!(a.down().await, (old, "restart".to_string()));

        let mut b = Wanted { incarnation: 2, listen, ..Wanted::new(identity(&ca, "b")) }.bind();
        let new = a.up().await;
        b.up().await;
        assert_eq!(new.incarnation(), Incarnation(2));
        new.send(Lane::Data, Bytes::from_static(b"again")).await.unwrap();
        assert_eq!(b.message().await.1, "again");
        assert_eq!(a.endpoint.last_error(&name("b")), None);
    });
}

#[test]
fn a_later_life_replaces_an_earlier_one_that_nobody_has_seen_die() {
    run(async {
        let ca = authority();
        let mut a = node(&ca, "a");
        let mut first = node(&ca, "b");
        let (old, _) = connect(&mut a, &mut first, "b").await;
        let mut second = Wanted { incarnation: 2, ..Wanted::new(identity(&ca, "b")) }.bind();
        second.endpoint.connect(name("a"), a.endpoint.local_addr());
        let (down, reason) = a.down().await;
        assert_eq!(down, old);
        assert!(reason.contains("replaced"), "{reason}");
        let new = a.up().await;
        assert_eq!(new.incarnation(), Incarnation(2));
        second.up().await;
        new.send(Lane::Data, Bytes::from_static(b"to the second")).await.unwrap();
        assert_eq!(second.message().await.1, "to the second");
    });
}

#[test]
fn a_new_address_replaces_the_old_one() {
    run(async {
        let ca = authority();
        let (mut a, mut b) = (node(&ca, "a"), node(&ca, "b"));
        a.endpoint.connect(name("b"), "[::1]:9".parse().unwrap());
        a.dial_error("b").await;
        a.endpoint.connect(name("b"), b.endpoint.local_addr());
        assert_eq!(a.up().await.remote_addr(), b.endpoint.local_addr());
        b.up().await;
    });
}

/// Sends from `from` to `to` until a message gets through on the connection that `to` takes for the live one. Gives what `to` takes
/// for up then, by its events.
async fn agree(from: &Node, to: &mut Node, (from_name, to_name): (&str, &str), live: &mut Vec<Peer>) {
    loop {
        let peer = from.endpoint.connected(&name(to_name)).await;
        // Not sent is lost as well: the connection was replaced, and the other side will say so.
        let _ = peer.send(Lane::Data, Bytes::from_static(b"ping")).await;
        loop {
            match to.event().await {
                Event::Up(peer) => live.push(peer),
                Event::Down(peer, _) => {
                    live.retain(|other| *other != peer);
                    break;
                }
                Event::Message(peer, ..) if to.endpoint.peer(&name(from_name)).is_some_and(|live| live == peer) => return,
                Event::Message(..) | Event::Datagram(..) => break,
            }
        }
    }
}

#[test]
fn of_two_that_dial_at_once_one_connection_survives() {
    run(async {
        let ca = authority();
        let mut connections = 0;
        for round in 0..20 {
            let (mut a, mut b) = (node(&ca, "a"), node(&ca, "b"));
            a.endpoint.connect(name("b"), b.endpoint.local_addr());
            b.endpoint.connect(name("a"), a.endpoint.local_addr());
            let (mut at_a, mut at_b) = (Vec::new(), Vec::new());
            agree(&a, &mut b, ("a", "b"), &mut at_b).await;
            agree(&b, &mut a, ("b", "a"), &mut at_a).await;
            assert_eq!((at_a.len(), at_b.len()), (1, 1), "round {round}");
            assert_eq!(Some(&at_a[0]), a.endpoint.peer(&name("b")).as_ref(), "round {round}");
            assert_eq!(Some(&at_b[0]), b.endpoint.peer(&name("a")).as_ref(), "round {round}");
            connections += a.endpoint.stats().connections;
        }
        // The smaller name's dial is waited for, so the survivor is nearly always the first: receivers see no flapping.
        assert!(connections <= 25, "{connections} connections for 20 pairs");
    });
}
