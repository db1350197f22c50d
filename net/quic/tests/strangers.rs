//! Who does not get past the door, and how those inside fare meanwhile.
#![cfg(not(madsim))]

mod common;

use std::net::UdpSocket;
use std::time::Duration;

use common::{DAY, Scene, Wanted, authority, by_hand, hello, hostile, identity, name, run, scene, try_say};
use playhouse_net::limits::HELLO_TIMEOUT;
use playhouse_net::{Identity, NameAtError, RefusalKind};
use playhouse_rt::{now, select, sleep};
use playhouse_wire::packet::Hello;

/// Dials `a` by hand and says `said`. What it is told at the end.
async fn knock(scene: &Scene, shows: Option<&Identity>, said: &Hello) -> String {
    let client = by_hand(&identity(&scene.ca, "mallory"), shows);
    let connection = match client.connect(scene.a.endpoint.local_addr(), "a").unwrap().await {
        Ok(connection) => connection,
        Err(error) => return error.to_string(),
    };
    // Refused while it speaks, or after.
    let _system = try_say(&connection, said).await;
    connection.closed().await.to_string()
}

#[test]
fn whoever_is_refused_at_the_door_is_told_why_and_counted_and_disturbs_nobody() {
    run(async {
        let mut scene = scene().await;
        let mallory = identity(&scene.ca, "mallory");
        let stranger = identity(&authority(), "mallory");
        let expired = scene.ca.issue(&name("mallory"), Duration::from_secs(1_600_000_000), DAY).unwrap();
        let own = hello("mallory", "demo");
        let other_version = Hello { version: 7, ..own.clone() };
        let cases = [
            (Some(&stranger), own.clone(), "certificate", RefusalKind::Tls),
            (Some(&expired), own.clone(), "certificate", RefusalKind::Tls),
            (None, own.clone(), "certificate", RefusalKind::Tls),
            // What b said once, said again by somebody else.
            (Some(&mallory), hello("b", "demo"), "the certificate proves `mallory`", RefusalKind::Name),
            (Some(&mallory), hello("mallory", "live"), "this is cluster `demo`", RefusalKind::Cluster),
            (Some(&mallory), other_version, "wire version 7", RefusalKind::Version),
        ];
        for (shows, said, reason, kind) in cases {
            let before = scene.a.endpoint.stats().refused(kind);
            let told = knock(&scene, shows, &said).await;
            assert!(told.contains(reason), "{kind:?}: {told}");
            scene.a.refused(kind, before + 1).await;
            scene.b_is_served().await;
        }
        assert_eq!(scene.a.endpoint.stats().connections, 1);
    });
}

#[test]
fn a_hello_drop_by_drop_is_cut_off_in_time() {
    run(async {
        let mut scene = scene().await;
        let mallory = identity(&scene.ca, "mallory");
        let client = by_hand(&mallory, Some(&mallory));
        let began = now();
        let connection = client.connect(scene.a.endpoint.local_addr(), "a").unwrap().await.unwrap();
        let mut system = connection.open_uni().await.unwrap();
        // A system message of 256 bytes, a byte each 50 ms: always alive, and not done before 13 seconds have passed.
        let mut drops = [0, 0, 1, 0, 0].into_iter().chain(std::iter::repeat(7));
        let told = loop {
            let _ = system.write_all(&[drops.next().unwrap()]).await;
            select! {
                error = connection.closed() => break error.to_string(),
                // The pace of the attack; nothing is waited for.
                () = sleep(Duration::from_millis(50)) => {}
            }
            scene.b_is_served().await;
        };
        assert!(told.contains("no hello within 5s"), "{told}");
        assert!(began.elapsed() >= HELLO_TIMEOUT);
        assert_eq!(scene.a.endpoint.stats().refused(RefusalKind::Hello), 1);
    });
}

#[test]
fn garbage_at_the_socket_disturbs_nobody() {
    run(async {
        let mut scene = scene().await;
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let before = scene.a.endpoint.stats();
        for number in 0..2_000u32 {
            let byte = |place: u32| (number ^ place).wrapping_mul(2_654_435_761).to_be_bytes()[0];
            let garbage: Vec<u8> = (0..number % 1_400).map(byte).collect();
            let _ = socket.send_to(&garbage, scene.a.endpoint.local_addr());
            if number % 100 == 0 {
                scene.b_is_served().await;
            }
        }
        let after = scene.a.endpoint.stats();
        assert!(after.bytes_received > before.bytes_received);
        assert_eq!((after.connections, after.refused(RefusalKind::Protocol)), (1, 0));
    });
}

/// Carries datagrams between whoever comes first and `to`, until an empty one comes. Gives those of the first.
fn record(socket: UdpSocket, to: std::net::SocketAddr) -> Vec<Vec<u8>> {
    let (mut said, mut first) = (Vec::new(), None);
    let mut buffer = [0; 65_536];
    loop {
        let (length, from) = socket.recv_from(&mut buffer).unwrap();
        let bytes = &buffer[..length];
        if bytes.is_empty() {
            return said;
        }
        if from == to {
            let _ = socket.send_to(bytes, first.expect("it spoke first"));
        } else {
            first = Some(from);
            said.push(bytes.to_vec());
            let _ = socket.send_to(bytes, to);
        }
    }
}

#[test]
fn a_recorded_hello_is_worth_nothing() {
    run(async {
        let mut scene = scene().await;
        let target = scene.a.endpoint.local_addr();
        let proxy = UdpSocket::bind("127.0.0.1:0").unwrap();
        let between = proxy.local_addr().unwrap();
        let recorder = std::thread::spawn(move || record(proxy, target));

        // c gets in, through somebody who listens.
        let c = Wanted { idle_timeout: HELLO_TIMEOUT * 4, ..Wanted::new(identity(&scene.ca, "c")) }.bind();
        c.endpoint.connect(name("a"), between);
        assert_eq!(scene.a.up().await.node(), &name("c"));
        c.endpoint.close("enough").await;
        scene.a.down().await;
        let thief = UdpSocket::bind("127.0.0.1:0").unwrap();
        thief.send_to(&[], between).unwrap();
        let recorded = recorder.join().unwrap();
        assert!(recorded.len() >= 3, "{}", recorded.len());

        // Said again, it begins a handshake that nobody can end. Until the first one is quite forgotten, not even that.
        while scene.a.endpoint.stats().refused(RefusalKind::Hello) == 0 {
            for datagram in &recorded {
                let _ = thief.send_to(datagram, target);
            }
            scene.b_is_served().await;
            sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(scene.a.endpoint.stats().connections, 2);
        assert_eq!(scene.a.endpoint.peer(&name("c")), None);
        // Whoever has the key is still welcome.
        let _c = hostile(&mut scene.a, &scene.ca, "c").await;
    });
}

#[test]
fn who_listens_at_an_address_is_learnt_of_nodes_of_the_cluster_alone() {
    run(async {
        let mut scene = scene().await;
        let stranger = common::node(&authority(), "c");
        let (a, elsewhere) = (scene.a.endpoint.local_addr(), stranger.endpoint.local_addr());
        let asks = &scene.b.endpoint;
        assert_eq!(asks.name_at(a).await, Ok(name("a")));
        let refused = asks.name_at(elsewhere).await.unwrap_err();
        assert!(matches!(refused, NameAtError::Refused(_)), "{refused:?}");
        let refused = refused.to_string();
        assert!(refused.contains("certificate"), "{refused}");
        // Nobody is there, but a socket.
        let nobody = UdpSocket::bind("127.0.0.1:0").unwrap();
        let asked = asks.name_at(nobody.local_addr().unwrap()).await.unwrap_err();
        assert!(matches!(asked, NameAtError::Lost(_)), "{asked:?}");
        let asked = asked.to_string();
        assert!(asked.contains("does not answer"), "{asked}");
        // The stranger learns no name either: it does not believe the certificate that it is shown.
        let shown = stranger.endpoint.name_at(a).await.unwrap_err().to_string();
        assert!(shown.contains("certificate"), "{shown}");
        scene.b_is_served().await;
    });
}
