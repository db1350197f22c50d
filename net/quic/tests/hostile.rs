//! A peer that has a valid certificate and behaves badly: it loses its connection, and nobody else does.
#![cfg(not(madsim))]

mod common;

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use common::{Event, Scene, authority, by_hand, hello, hostile, identity, lane, name, node, run, say, scene};
use playhouse_net::RefusalKind::{self, Flood, Protocol};
use playhouse_net::limits::{DATAGRAM_BURST, DATAGRAM_MAX, HANDSHAKES_MAX};
use playhouse_wire::Lane;
use playhouse_wire::limits::FRAME_MAX;

impl Scene {
    /// The connection of `mallory` ends for a reason, is counted, and the one of `b` works as before.
    async fn only_mallory_is_hurt(mut self, connection: quinn::Connection, reason: &str, kind: RefusalKind) {
        let (peer, told) = loop {
            match self.a.event().await {
                Event::Down(peer, told) => break (peer, told),
                Event::Datagram(peer, _) => assert_eq!(peer.node(), &name("mallory")),
                other => panic!("down was expected, not {other:?}"),
            }
        };
        assert_eq!(peer.node(), &name("mallory"));
        assert!(told.contains(reason), "{told}");
        let quinn::ConnectionError::ApplicationClosed(close) = connection.closed().await else { panic!("not closed by a") };
        assert!(String::from_utf8_lossy(&close.reason).contains(reason));
        assert_eq!(self.a.endpoint.stats().refused(kind), 1);
        self.b_is_served().await;
    }
}

#[test]
fn a_frame_that_is_too_long_ends_its_connection_only() {
    run(async {
        let mut scene = scene().await;
        let (connection, _system) = hostile(&mut scene.a, &scene.ca, "mallory").await;
        let _data = lane(&connection, 2, &(FRAME_MAX as u32 + 1).to_le_bytes()).await;
        scene.only_mallory_is_hurt(connection, "frame of 65537 bytes", Protocol).await;
    });
}

#[test]
fn garbage_ends_its_connection_only_and_what_stood_before_is_heard() {
    run(async {
        let mut scene = scene().await;
        let (connection, _system) = hostile(&mut scene.a, &scene.ca, "mallory").await;
        let _data = lane(&connection, 2, b"\x02\0\0\0hi\xff\xff\xff\xff\xff\xff").await;
        assert_eq!(scene.a.message().await, (Lane::Data, Bytes::from_static(b"hi")));
        scene.only_mallory_is_hurt(connection, "broken frames on the Data lane", Protocol).await;
    });
}

#[test]
fn half_a_frame_ends_its_connection_only() {
    run(async {
        let mut scene = scene().await;
        let (connection, _system) = hostile(&mut scene.a, &scene.ca, "mallory").await;
        let mut data = lane(&connection, 2, b"\x05\0\0\0ab").await;
        data.finish().unwrap();
        scene.only_mallory_is_hurt(connection, "ended in the middle of a message", Protocol).await;
    });
}

#[test]
fn a_reset_lane_ends_its_connection_only() {
    run(async {
        let mut scene = scene().await;
        let (connection, _system) = hostile(&mut scene.a, &scene.ca, "mallory").await;
        let mut data = lane(&connection, 2, b"\x02\0\0\0hi").await;
        assert_eq!(scene.a.message().await.1, "hi");
        data.reset(quinn::VarInt::from_u32(0)).unwrap();
        scene.only_mallory_is_hurt(connection, "ended in the middle", Protocol).await;
    });
}

#[test]
fn a_system_message_that_is_too_long_ends_its_connection_only() {
    run(async {
        let mut scene = scene().await;
        let (connection, mut system) = hostile(&mut scene.a, &scene.ca, "mallory").await;
        let long = Lane::System.message_max() + 1;
        system.write_all(&(long as u32).to_le_bytes()).await.unwrap();
        system.write_all(&vec![0; long]).await.unwrap();
        scene.only_mallory_is_hurt(connection, "broken frames on the System lane", Protocol).await;
    });
}

#[test]
fn a_lane_opened_twice_ends_its_connection_only() {
    run(async {
        let mut scene = scene().await;
        let (connection, _system) = hostile(&mut scene.a, &scene.ca, "mallory").await;
        let _one = lane(&connection, 2, b"").await;
        let _two = lane(&connection, 2, b"").await;
        scene.only_mallory_is_hurt(connection, "the Data lane was opened twice", Protocol).await;
    });
}

#[test]
fn a_lane_that_does_not_exist_ends_its_connection_only() {
    run(async {
        let mut scene = scene().await;
        let (connection, _system) = hostile(&mut scene.a, &scene.ca, "mallory").await;
        let _lane = lane(&connection, 9, b"").await;
        scene.only_mallory_is_hurt(connection, "there is no lane 9", Protocol).await;
    });
}

#[test]
fn a_flood_of_streams_is_bounded_by_the_number_of_lanes() {
    run(async {
        let mut scene = scene().await;
        let (connection, _system) = hostile(&mut scene.a, &scene.ca, "mallory").await;
        let mut streams = Vec::new();
        loop {
            // Our limits came with the handshake, so whether a stream may be opened is known at once.
            let opened = poll_fn(|cx| Poll::Ready(pin!(connection.open_uni()).poll(cx))).await;
            let Poll::Ready(stream) = opened else { break };
            streams.push(stream.unwrap());
        }
        assert_eq!(streams.len(), 3, "one lane each beside the system's");
        let both_ways = poll_fn(|cx| Poll::Ready(pin!(connection.open_bi()).poll(cx).is_pending())).await;
        assert!(both_ways, "no stream in both directions");
        // A lane that ends makes place for another stream, and that one is refused.
        let mut data = streams.pop().unwrap();
        data.write_all(&[2]).await.unwrap();
        data.finish().unwrap();
        let mut bulk = streams.pop().unwrap();
        bulk.write_all(&[3]).await.unwrap();
        let mut control = streams.pop().unwrap();
        control.write_all(&[1]).await.unwrap();
        let _again = lane(&connection, 2, b"").await;
        scene.only_mallory_is_hurt(connection, "opened again", Protocol).await;
    });
}

#[test]
fn a_flood_of_handshakes_is_bounded_and_refused_beyond() {
    run(async {
        let mut scene = scene().await;
        let mallory = identity(&scene.ca, "mallory");
        let client = by_hand(&mallory, Some(&mallory));
        let mut silent = Vec::new();
        let error = loop {
            match client.connect(scene.a.endpoint.local_addr(), "a").unwrap().await {
                // Says nothing, and so keeps its place.
                Ok(connection) => silent.push(connection),
                Err(error) => break error,
            }
        };
        // More than that only if the first were given up meanwhile, on a machine that is busy.
        assert!(silent.len() >= HANDSHAKES_MAX, "{}", silent.len());
        assert!(error.to_string().contains("refused"), "{error}");
        assert_eq!(scene.a.endpoint.stats().refused(RefusalKind::Busy), 1);
        scene.b_is_served().await;
    });
}

#[test]
fn nothing_is_read_before_the_hello() {
    run(async {
        let ca = authority();
        let a = node(&ca, "a");
        let b = identity(&ca, "b");
        let client = by_hand(&b, Some(&b));
        for first in [&b"\x02\x02\0\0\0hi"[..], b"\0\x02\0\0\0hi", b"\0\xff\xff\xff\xff"] {
            let connection = client.connect(a.endpoint.local_addr(), "a").unwrap().await.unwrap();
            let mut stream = connection.open_uni().await.unwrap();
            stream.write_all(first).await.unwrap();
            let error = connection.closed().await.to_string();
            assert!(error.contains("no hello") || error.contains("wire version"), "{error}");
        }
        let stats = a.endpoint.stats();
        assert_eq!((stats.connections, stats.received(Lane::System), stats.received(Lane::Data)), (0, 0, 0));
        assert_eq!(stats.refused(RefusalKind::Hello) + stats.refused(RefusalKind::Version), 3);
    });
}

#[test]
fn a_hello_in_two_pieces_with_a_message_behind_it_is_understood() {
    run(async {
        let ca = authority();
        let mut a = node(&ca, "a");
        let b = identity(&ca, "b");
        let client = by_hand(&b, Some(&b));
        let connection = client.connect(a.endpoint.local_addr(), "a").unwrap().await.unwrap();
        let mut system = say(&connection, &hello("b", "demo")).await;
        system.write_all(b"\x02\0\0\0hi").await.unwrap();
        a.up().await;
        assert_eq!(a.message().await, (Lane::System, Bytes::from_static(b"hi")));
    });
}

#[test]
fn half_a_frame_and_then_silence_holds_up_its_own_lane_only() {
    run(async {
        let mut scene = scene().await;
        let (connection, mut system) = hostile(&mut scene.a, &scene.ca, "mallory").await;
        let mut data = lane(&connection, 2, b"\x05\0\0\0he").await;
        scene.b_is_served().await;
        system.write_all(b"\x02\0\0\0hi").await.unwrap();
        assert_eq!(scene.a.message().await, (Lane::System, Bytes::from_static(b"hi")));
        // It is slow, which is no fault: what it said is kept until the rest comes.
        data.write_all(b"llo").await.unwrap();
        assert_eq!(scene.a.message().await, (Lane::Data, Bytes::from_static(b"hello")));
    });
}

#[test]
fn a_flood_of_datagrams_ends_its_connection_only() {
    run(async {
        let mut scene = scene().await;
        let (connection, _system) = hostile(&mut scene.a, &scene.ca, "mallory").await;
        let mut sent = 0;
        while connection.send_datagram_wait(Bytes::from_static(b"beat")).await.is_ok() {
            sent += 1;
        }
        assert!(sent > 2 * DATAGRAM_BURST, "{sent}");
        assert!(scene.a.endpoint.stats().unreliable_received >= u64::from(2 * DATAGRAM_BURST));
        scene.only_mallory_is_hurt(connection, "a flood of datagrams", Flood).await;
    });
}

#[test]
fn a_datagram_that_is_too_long_ends_its_connection_only() {
    run(async {
        let mut scene = scene().await;
        let (connection, _system) = hostile(&mut scene.a, &scene.ca, "mallory").await;
        connection.send_datagram(Bytes::from(vec![7; DATAGRAM_MAX + 1])).unwrap();
        scene.only_mallory_is_hurt(connection, "a datagram of 1025 bytes", Protocol).await;
    });
}
