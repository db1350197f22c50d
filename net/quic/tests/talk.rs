//! Two endpoints talk.
#![cfg(not(madsim))]

mod common;

use bytes::Bytes;
use common::{Wanted, authority, connect, identity, name, node, run};
use playhouse_net::SendError;
use playhouse_net::limits::queue_max;
use playhouse_rt::sync::Semaphore;
use playhouse_wire::Lane;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

#[test]
fn every_lane_carries_messages_both_ways_in_order() {
    run(async {
        let ca = authority();
        let mut a = node(&ca, "a");
        let mut b = Wanted { echo: true, ..Wanted::new(identity(&ca, "b")) }.bind();
        let (to_b, to_a) = connect(&mut a, &mut b, "b").await;
        assert_eq!((to_b.node(), to_a.node()), (&name("b"), &name("a")));
        for number in 0..500u32 {
            for lane in Lane::ALL {
                to_b.send(lane, Bytes::copy_from_slice(&number.to_le_bytes())).await.unwrap();
            }
        }
        let mut next = [0u32; 4];
        for _ in 0..2_000 {
            let (lane, message) = a.message().await;
            assert_eq!(message[..], next[lane as usize].to_le_bytes());
            next[lane as usize] += 1;
        }
        assert_eq!(next, [500; 4]);

        let (sent, received) = (a.endpoint.stats(), b.endpoint.stats());
        for lane in Lane::ALL {
            assert_eq!(
                (sent.sent(lane), sent.received(lane), received.sent(lane), received.received(lane)),
                (500, 500, 500, 500)
            );
        }
        assert_eq!((sent.connections, received.connections), (1, 1));
        assert!(sent.datagrams_sent > 0 && sent.bytes_sent >= 4 * 500 * 4 && sent.bytes_received >= 4 * 500 * 4);
        // Nothing is lost on this network, but some may still be under way.
        assert!(received.bytes_received <= a.endpoint.stats().bytes_sent);
        assert!(to_b.rtt() > std::time::Duration::ZERO);
    });
}

#[test]
fn a_message_of_five_mebibytes_arrives_whole() {
    run(async {
        let ca = authority();
        let (mut a, mut b) = (node(&ca, "a"), node(&ca, "b"));
        let (to_b, _) = connect(&mut a, &mut b, "b").await;
        let message: Bytes = (0..5 * 1024 * 1024u32).map(|i| (i ^ (i >> 8)) as u8).collect();
        to_b.send(Lane::Bulk, message.clone()).await.unwrap();
        assert_eq!(b.message().await, (Lane::Bulk, message));
        let long = Bytes::from(vec![0; Lane::System.message_max() + 1]);
        assert_eq!(to_b.try_send(Lane::System, long.clone()), Err(SendError::TooLong(long)));
    });
}

#[test]
fn a_stuck_receiver_fills_the_queue_and_holds_up_no_other_lane() {
    run(async {
        let ca = authority();
        let mut a = node(&ca, "a");
        let mut b = Wanted { gated: true, ..Wanted::new(identity(&ca, "b")) }.bind();
        let (to_b, _) = connect(&mut a, &mut b, "b").await;
        let message = Bytes::from(vec![7; 60_000]);
        let mut taken = 0;
        // Goes on until windows and queue are full: nothing frees them, because nobody reads.
        let (full, waiting) = loop {
            match to_b.try_send(Lane::Data, message.clone()) {
                Ok(()) => taken += 1,
                Err(SendError::Full(back)) => {
                    let mut waiting = Box::pin(to_b.send(Lane::Data, message.clone()));
                    // The writer may still be moving bytes into the windows; full for good is when a sender stays waiting.
                    if playhouse_rt::timeout(std::time::Duration::from_millis(300), &mut waiting).await.is_err() {
                        break (back, waiting);
                    }
                    taken += 1;
                }
                Err(error) => panic!("{error}"),
            }
        };
        assert_eq!(full, message);
        assert!(taken * message.len() < queue_max(Lane::Data) + 4 * 1024 * 1024, "{taken} messages are too much to hold");

        // The data lane is full to the brim, and the others are free.
        for lane in [Lane::System, Lane::Control, Lane::Bulk] {
            to_b.send(lane, Bytes::from_static(b"urgent")).await.unwrap();
            assert_eq!(b.message().await, (lane, Bytes::from_static(b"urgent")));
        }
        b.gate.add_permits(Semaphore::MAX_PERMITS / 2);
        waiting.await.unwrap();
        taken += 1;
        to_b.send(Lane::Data, Bytes::from_static(b"last")).await.unwrap();
        while b.message().await.1 != "last" {}
        assert_eq!(b.endpoint.stats().received(Lane::Data), taken as u64 + 1);
    });
}

#[test]
fn a_closed_connection_gives_messages_back_and_tells_waiters() {
    run(async {
        let ca = authority();
        let (mut a, mut b) = (node(&ca, "a"), node(&ca, "b"));
        let (to_b, to_a) = connect(&mut a, &mut b, "b").await;
        a.endpoint.forget(&name("b"));
        to_a.close("enough");
        assert_eq!(to_b.closed().await, "enough");
        assert_eq!(to_a.closed().await, "enough");
        let message = Bytes::from_static(b"late");
        assert_eq!(to_b.try_send(Lane::Data, message.clone()), Err(SendError::Closed(message.clone())));
        assert_eq!(to_b.send(Lane::Data, message.clone()).await, Err(SendError::Closed(message)));
        assert_eq!(a.endpoint.peer(&name("b")), None);
        assert_eq!(a.down().await, (to_b, "enough".to_string()));
        assert_eq!(b.down().await, (to_a, "enough".to_string()));
    });
}

#[test]
fn closing_the_endpoint_delivers_what_was_queued_and_frees_the_address() {
    run(async {
        let ca = authority();
        let (mut a, mut b) = (node(&ca, "a"), node(&ca, "b"));
        let (to_b, _) = connect(&mut a, &mut b, "b").await;
        for number in 0..1_000u32 {
            to_b.send(Lane::Data, Bytes::copy_from_slice(&number.to_le_bytes())).await.unwrap();
        }
        let address = a.endpoint.local_addr();
        a.endpoint.close("going home").await;
        for number in 0..1_000u32 {
            assert_eq!(b.message().await.1[..], number.to_le_bytes());
        }
        assert_eq!(b.down().await.1, "going home");
        assert_eq!(a.down().await.1, "going home");
        std::net::UdpSocket::bind(address).expect("the address is free, although a peer is still held");
        assert_eq!(to_b.rtt(), std::time::Duration::ZERO);
    });
}

#[test]
fn dropping_the_endpoint_ends_everything() {
    run(async {
        let ca = authority();
        let (mut a, mut b) = (node(&ca, "a"), node(&ca, "b"));
        let (to_b, _) = connect(&mut a, &mut b, "b").await;
        a.endpoint.connect(name("nobody"), "127.0.0.1:9".parse().unwrap());
        drop(a.endpoint);
        assert_eq!(b.down().await.1, "the endpoint was dropped");
        to_b.closed().await;
        assert!(matches!(a.events.recv().await, Some(common::Event::Down(..))));
        // The receiver is dropped with the last task.
        assert!(a.events.recv().await.is_none());
    });
}

#[test]
fn waiting_for_a_peer_is_pending_until_it_is_up() {
    run(async {
        let ca = authority();
        let (a, mut b) = (node(&ca, "a"), node(&ca, "b"));
        let called = name("b");
        let mut connected = pin!(a.endpoint.connected(&called));
        assert_eq!(connected.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Pending);
        a.endpoint.connect(called.clone(), b.endpoint.local_addr());
        assert_eq!(Some(connected.await), a.endpoint.peer(&called));
        b.up().await;
    });
}

/// A flow of bulk that never ends, until the connection does.
fn saturate(peer: &playhouse_net::Peer) {
    let peer = peer.clone();
    let message = Bytes::from(vec![7; 1 << 20]);
    playhouse_rt::spawn(async move { while peer.send(Lane::Bulk, message.clone()).await.is_ok() {} });
}

#[test]
fn a_control_message_of_the_largest_size_passes_a_bulk_flow_that_never_ends() {
    run(async {
        let ca = authority();
        let (mut a, mut b) = (node(&ca, "a"), node(&ca, "b"));
        let (to_b, _) = connect(&mut a, &mut b, "b").await;
        saturate(&to_b);
        while b.message().await.0 != Lane::Bulk {}
        let message = Bytes::from(vec![5; Lane::Control.message_max()]);
        to_b.send(Lane::Control, message.clone()).await.unwrap();
        loop {
            match b.message().await {
                (Lane::Control, heard) => break assert!(heard == message),
                (lane, heard) => assert_eq!((lane, heard.len()), (Lane::Bulk, 1 << 20)),
            }
        }
        // And the flow goes on.
        while b.message().await.0 != Lane::Bulk {}
    });
}

#[test]
fn a_system_message_overtakes_the_bulk_that_was_queued_before_it() {
    run(async {
        let ca = authority();
        let (mut a, mut b) = (node(&ca, "a"), node(&ca, "b"));
        let (to_b, _) = connect(&mut a, &mut b, "b").await;
        let bulk = Bytes::from(vec![7; queue_max(Lane::Bulk) / 2]);
        // As much as the queue holds, and many times what the windows hold.
        let long = Bytes::from(vec![7; Lane::Bulk.message_max()]);
        to_b.send(Lane::Bulk, long.clone()).await.unwrap();
        to_b.send(Lane::System, Bytes::from_static(b"urgent")).await.unwrap();
        to_b.send(Lane::Bulk, bulk.clone()).await.unwrap();
        assert_eq!(b.message().await, (Lane::System, Bytes::from_static(b"urgent")), "before the end of 64 MiB");
        assert_eq!(b.message().await.1, long);
        assert_eq!(b.message().await.1, bulk);
    });
}
