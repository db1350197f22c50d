//! Datagrams between two endpoints: taken or given back at once, bounded, and counted.
#![cfg(not(madsim))]

mod common;

use bytes::Bytes;
use common::{Event, Node, Wanted, authority, by_hand_with, connect, hello, identity, name, node, run, say};
use playhouse_net::limits::{DATAGRAM_BURST, DATAGRAM_MAX};
use playhouse_net::{DatagramError, Peer, RefusalKind};
use playhouse_wire::Lane;

/// Sends `bytes` until it is heard: on this network nothing is lost for good, but a full receive buffer loses a datagram.
async fn until_heard(to: &Peer, at: &mut Node, bytes: &Bytes) {
    loop {
        to.try_send_datagram(bytes.clone()).unwrap();
        let heard = playhouse_rt::timeout(std::time::Duration::from_secs(1), at.events.recv()).await;
        match heard {
            Ok(Some(Event::Datagram(_, heard))) if heard == *bytes => return,
            Ok(Some(Event::Datagram(..))) | Err(_) => {}
            Ok(other) => panic!("a datagram was expected, not {other:?}"),
        }
    }
}

#[test]
fn datagrams_go_both_ways_and_are_counted() {
    run(async {
        let ca = authority();
        let mut a = node(&ca, "a");
        let mut b = Wanted { echo: true, ..Wanted::new(identity(&ca, "b")) }.bind();
        let (to_b, _) = connect(&mut a, &mut b, "b").await;
        for length in [0, 1, 40, DATAGRAM_MAX] {
            until_heard(&to_b, &mut a, &Bytes::from(vec![length as u8; length])).await;
        }
        let (sent, received) = (a.endpoint.stats(), b.endpoint.stats());
        assert!(sent.unreliable_sent >= 4 && sent.unreliable_received >= 4, "{sent:?}");
        assert!(received.unreliable_received >= 4 && received.unreliable_received <= sent.unreliable_sent, "{received:?}");
        assert_eq!(sent.sent(Lane::System), 0, "a datagram is no message of a lane");
        assert!(to_b.health().datagrams_sent >= 4 && to_b.health().datagrams_received >= 4);
    });
}

#[test]
fn what_cannot_be_sent_is_given_back() {
    run(async {
        let ca = authority();
        let (mut a, mut b) = (node(&ca, "a"), node(&ca, "b"));
        let (to_b, _) = connect(&mut a, &mut b, "b").await;
        let long = Bytes::from(vec![7; DATAGRAM_MAX + 1]);
        let error = to_b.try_send_datagram(long.clone()).unwrap_err();
        assert_eq!(error, DatagramError::TooLong(long.clone()));
        assert_eq!(error.into_message(), long);

        a.endpoint.forget(&name("b"));
        to_b.close("enough");
        let late = Bytes::from_static(b"late");
        assert_eq!(to_b.try_send_datagram(late.clone()), Err(DatagramError::Closed(late.clone())));
        to_b.closed().await;
        assert_eq!(to_b.try_send_datagram(late.clone()), Err(DatagramError::Closed(late)));
        assert_eq!(a.endpoint.stats().unreliable_sent, 0);
    });
}

#[test]
fn a_sender_is_held_to_a_budget_with_which_no_peer_finds_fault() {
    run(async {
        let ca = authority();
        let (mut a, mut b) = (node(&ca, "a"), node(&ca, "b"));
        let (to_b, _) = connect(&mut a, &mut b, "b").await;
        let beat = Bytes::from_static(b"beat");
        let mut taken = 0;
        let error = loop {
            match to_b.try_send_datagram(beat.clone()) {
                Ok(()) => taken += 1,
                Err(error) => break error,
            }
        };
        assert_eq!(error, DatagramError::TooMany(beat.clone()));
        assert!(taken >= DATAGRAM_BURST, "{taken}");
        to_b.send(Lane::Data, Bytes::from_static(b"still here")).await.unwrap();
        loop {
            match b.event().await {
                Event::Datagram(_, heard) => assert_eq!(heard, beat),
                Event::Message(_, _, message) => break assert_eq!(message, "still here"),
                other => panic!("not {other:?}"),
            }
        }
        assert_eq!(b.endpoint.stats().refused(RefusalKind::Flood), 0);
        assert_eq!(a.endpoint.peer(&name("b")), Some(to_b));
    });
}

#[test]
fn a_peer_that_takes_no_datagrams_is_sent_none() {
    run(async {
        let ca = authority();
        let mut a = node(&ca, "a");
        let b = identity(&ca, "b");
        let mut transport = quinn::TransportConfig::default();
        transport.datagram_receive_buffer_size(None);
        let client = by_hand_with(&b, Some(&b), transport);
        let connection = client.connect(a.endpoint.local_addr(), "a").unwrap().await.unwrap();
        let _system = say(&connection, &hello("b", "demo")).await;
        let to_b = a.up().await;
        let beat = Bytes::from_static(b"beat");
        assert_eq!(to_b.try_send_datagram(beat.clone()), Err(DatagramError::Unsupported(beat)));
    });
}
