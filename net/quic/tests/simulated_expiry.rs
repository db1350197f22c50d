//! Certificates end while nodes talk: half an hour of virtual time.
#![cfg(madsim)]
#![allow(missing_docs, reason = "a test")]

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use playhouse_net::{Authority, BindError, Config, Endpoint, Identity, Peer, Receiver};
use playhouse_rt::sim::{self, Deliveries, Flight, Links, Network, Storage, WallClock};
use playhouse_rt::sync::mpsc;
use playhouse_rt::{Disk, Host, sleep, timeout};
use playhouse_wire::{Incarnation, Lane, NodeName};

const MINUTE: Duration = Duration::from_secs(60);

struct Calm;

impl Links for Calm {
    fn send(&mut self, _: &Flight) -> Deliveries {
        Deliveries::one(Duration::from_millis(5))
    }
    fn arrives(&mut self, _: &Flight) -> bool {
        true
    }
}

struct Ear(mpsc::UnboundedSender<String>);

impl Receiver for Ear {
    fn up(&self, peer: &Peer) {
        let _ = self.0.send(format!("up {}", peer.node()));
    }
    fn down(&self, peer: &Peer, _: &str) {
        let _ = self.0.send(format!("down {}", peer.node()));
    }
    fn messages<'a>(&'a self, _: &'a Peer, _: Lane, batch: Vec<Bytes>) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        for message in batch {
            let _ = self.0.send(String::from_utf8_lossy(&message).into_owned());
        }
        Box::pin(std::future::ready(()))
    }
}

fn called(number: u8) -> NodeName {
    NodeName::new(&format!("n{number}")).unwrap()
}

fn host(network: &Network, number: u8) -> Host {
    Host::simulated(network, IpAddr::from([10, 0, 0, number]), Disk::simulated(&Storage::default(), 1), u64::from(number))
}

fn bind(host: &Host, number: u8, identity: Identity) -> Result<(Endpoint, mpsc::UnboundedReceiver<String>), BindError> {
    let (sender, events) = mpsc::unbounded_channel();
    let config = Config::new((IpAddr::from([10, 0, 0, number]), 700).into(), identity, Incarnation(1));
    Ok((Endpoint::bind(host, config, Arc::new(Ear(sender)))?, events))
}

async fn hears(events: &mut mpsc::UnboundedReceiver<String>, wanted: &str) {
    let heard = timeout(MINUTE, events.recv()).await.unwrap_or_else(|_| panic!("no `{wanted}` within a minute"));
    assert_eq!(heard.as_deref(), Some(wanted));
}

#[test]
fn an_end_stops_new_connections_only_and_a_renewal_brings_them_back() {
    let story = || {
        sim::run(1, async {
            let network = Network::new(Box::new(Calm));
            let (host_a, host_b) = (host(&network, 1), host(&network, 2));
            let authority = Authority::new("demo", host_a.wall_clock()).unwrap();
            let issue = |number: u8| authority.issue(&called(number), host_a.wall_clock(), MINUTE * 20).unwrap();
            let (old_a, old_b) = (issue(1), issue(2));
            let (a, mut at_a) = bind(&host_a, 1, old_a).unwrap();
            let (b, mut at_b) = bind(&host_b, 2, old_b.clone()).unwrap();
            a.connect(called(2), b.local_addr());
            hears(&mut at_a, "up n2").await;
            hears(&mut at_b, "up n1").await;

            sleep(MINUTE * 30).await;
            let to_b = a.peer(&called(2)).expect("the connection lives");
            to_b.send(Lane::Data, Bytes::from_static(b"still here")).await.unwrap();
            hears(&mut at_b, "still here").await;

            to_b.close("another one");
            hears(&mut at_a, "down n2").await;
            hears(&mut at_b, "down n1").await;
            let refused = a.dialled(&called(2)).await.expect_err("the certificate has expired");
            assert!(refused.contains("expired"), "{refused}");

            // One alone is not enough.
            b.renew(issue(2)).unwrap();
            assert!(timeout(MINUTE, a.connected(&called(2))).await.is_err());
            a.renew(issue(1)).unwrap();
            hears(&mut at_a, "up n2").await;
            hears(&mut at_b, "up n1").await;

            b.close("restart").await;
            let error = bind(&host_b, 2, old_b).expect_err("it has expired");
            assert!(matches!(error, BindError::Expired { .. }), "{error:?}");
        });
    };
    // On a thread of its own: std's hashers take their seed from the first simulation of a thread.
    std::thread::spawn(story).join().unwrap();
}

#[test]
fn certificates_are_judged_by_the_clock_of_the_host() {
    let story = || {
        sim::run(1, async {
            let network = Network::new(Box::new(Calm));
            let clock = WallClock::default();
            let (host_a, host_b) = (host(&network, 1).with_clock(&clock), host(&network, 2));
            let authority = Authority::new("demo", host_b.wall_clock()).unwrap();
            let issue = |number: u8| authority.issue(&called(number), host_b.wall_clock(), MINUTE * 20).unwrap();
            let (a, mut at_a) = bind(&host_a, 1, issue(1)).unwrap();
            let (b, mut at_b) = bind(&host_b, 2, issue(2)).unwrap();
            a.connect(called(2), b.local_addr());
            hears(&mut at_a, "up n2").await;
            hears(&mut at_b, "up n1").await;

            // To it, the other one's certificate has expired; to the other one nothing has.
            let hour: i64 = 3_600_000_000;
            clock.jump(hour);
            a.peer(&called(2)).expect("the connection lives").close("another one");
            hears(&mut at_a, "down n2").await;
            hears(&mut at_b, "down n1").await;
            let refused = a.dialled(&called(2)).await.expect_err("the certificate has expired");
            assert!(refused.contains("expired"), "{refused}");
            clock.jump(-hour * 24 * 400);
            let refused = loop {
                let refused = a.dialled(&called(2)).await.expect_err("the certificate is not valid yet");
                if !refused.contains("expired") {
                    break refused;
                }
                sleep(Duration::from_secs(1)).await;
            };
            assert!(refused.contains("not valid yet") || refused.contains("NotValidYet"), "{refused}");
            clock.restore();
            hears(&mut at_a, "up n2").await;
            hears(&mut at_b, "up n1").await;
        });
    };
    // On a thread of its own: std's hashers take their seed from the first simulation of a thread.
    std::thread::spawn(story).join().unwrap();
}
