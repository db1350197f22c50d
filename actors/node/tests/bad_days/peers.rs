//! Nodes that are not who they should be. Over real sockets, and simulated.

use playhouse::prelude::*;

use crate::stage::{Stage, name, names, play, until, within};

#[test]
fn a_certificate_of_another_cluster() {
    play(async |_| {
        let mut stage = Stage::set("stranger").await;
        let (host, listen) = stage.place("stranger");
        let other = Authority::new("other", host.wall_clock()).unwrap();
        let stranger = other.issue(&name("stranger"), host.wall_clock(), Duration::from_secs(86_400)).unwrap();
        // Who lists the coordinators dials them for ever, and says of each what is wrong.
        let config = NodeConfig { threads: 1, ..NodeConfig::new(stranger, listen, stage.listed()) };
        let node = Node::start(host, config).await.unwrap();
        for head in ["x", "y", "z"] {
            let said = until(async || node.last_error(&name(head))).await;
            names(&said, &["certificate", "of an authority that it does not trust"]);
        }
        stage.serves().await;
        // A client of it is told, too, whom it cannot reach.
        let client = node.client().with_patience(Duration::from_secs(1));
        let error = within(client.status()).await.unwrap_err().to_string();
        assert!(
            ["to x: ", "to y: ", "to z: "].iter().any(|peer| error.contains(peer)) && error.contains("certificate"),
            "{error}"
        );
        node.stop(Duration::from_secs(1)).await;
        stage.ends().await;
    });
}

#[test]
fn two_nodes_with_one_name() {
    play(async |_| {
        let mut stage = Stage::set("twins").await;
        let first = stage.works("twin").await.unwrap();
        // A place of its own: another process, elsewhere.
        let (host, listen) = stage.place("elsewhere");
        let config = stage.worker("twin", listen);
        let second = Node::start(host, config).await.unwrap();
        let said = within(first.outlived()).await;
        names(&said, &["this life of twin", "two processes have this name"]);
        stage.serves().await;
        // The other one is as it was.
        let status = within(stage.client().workers_up(2)).await.unwrap();
        assert_eq!(status.nodes[&name("twin")].incarnation, second.incarnation());
        for node in [first, second] {
            node.stop(Duration::from_secs(1)).await;
        }
        stage.ends().await;
    });
}

#[test]
fn two_coordinators_with_one_name() {
    play(async |_| {
        let mut stage = Stage::set("twin-heads").await;
        let victim = stage.follower().await;
        let (host, listen) = stage.place("elsewhere");
        let mut config = stage.config(&victim, listen);
        config.coordinate = Some(playhouse::Coordinate::new(stage.folder.join("twin")));
        stage.moved.insert(victim.clone(), ("elsewhere", stage.folder.join("twin")));
        let others = stage.heads.iter().filter(|head| head.name().as_str() != victim);
        let join = others.map(Node::address).collect();
        // For the others it has come back with an empty disk.
        let second = within(Node::start(host, NodeConfig { coordinators: vec![], join, ..config })).await.unwrap();
        let said = within(stage.head(&victim).outlived()).await;
        names(&said, &[&format!("this life of {victim}"), "two processes have this name"]);
        stage.serves().await;
        stage.stops(&victim).await;
        stage.has_caught_up(&second).await;
        stage.heads.push(second);
        stage.serves().await;
        stage.ends().await;
    });
}
