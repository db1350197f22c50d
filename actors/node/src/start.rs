//! How a node is assembled: the one place that knows all of its parts.

use std::net::SocketAddr;
use std::sync::Arc;

use playhouse_actors::prelude::*;
use playhouse_cluster::{Group, Member, Replica};
use playhouse_net::{Config, Endpoint};
use playhouse_plane::{Plane, PlaneConfig};
use playhouse_rt::{Blocking, Host};
use playhouse_store::Store;
use playhouse_store::annals::{Annals, Bounds};
use playhouse_wire::{ActorName, Incarnation};

use crate::agent::{AGENT, Agent, PeerLink};
use crate::agreement::{AGREEMENT, Agreement, Calls};
use crate::coordinator::{COORDINATOR, Coordinator, Link, PlaneHands};
use crate::coordinators::{Coordinators, discover};
use crate::entities::Stage;
use crate::finder::Finder;
use crate::ground::{Ground, Roster};
use crate::inspect::Watchtower;
use crate::limits::{CHANGE_WITHIN, ENROL_WITHIN, JOIN_WITHIN, PLANE_MAILBOX};
use crate::messages::Enrol;
use crate::names::Names;
use crate::network::{Inbox, Roads, Way};
use crate::node::{Coordinate, Coordinating, Inner, NodeConfig, StartError};
use crate::task_log::{self, TaskScribe};

/// Jobs that a coordinator takes within a millisecond of its life, on average, at the most.
const JOBS_PER_MS: u64 = 1000;

/// The name of a coordinator's journal in its folder.
const JOURNAL: &str = "journal.redb";

/// Starts all that the configuration asks for, or nothing.
pub(crate) async fn start(host: Host, config: NodeConfig) -> Result<Inner, StartError> {
    let name = config.identity.node().clone();
    let listed = config.coordinators.iter().any(|(coordinator, _)| *coordinator == name);
    if config.coordinate.is_none() && listed {
        return Err(StartError::Config(format!("`coordinators` name {name}, and it lacks `coordinate`")));
    }
    if config.capacity > 0 && config.coordinators.is_empty() && config.join.is_empty() {
        return Err(StartError::Config("a node that offers workers needs to know a coordinator, or a node to ask".into()));
    }
    // Milliseconds of the wall clock rise from one life to the next.
    let incarnation = Incarnation(host.wall_clock().as_millis().try_into().unwrap_or(u64::MAX));
    playhouse_rt::ledger::record("node", || format!("{name}{incarnation}"));

    let store = match (&config.checkpoints, config.capacity) {
        _ if config.store.is_some() => config.store.clone(),
        (None, 0) => None,
        (Some(folder), _) => Some(Store::open(host.disk().clone(), folder.clone(), Blocking::new(2)).await?),
        (None, _) => return Err(StartError::Config("a node that offers workers needs a folder for checkpoints".into())),
    };

    let system = System::of_life(name, incarnation, config.threads)?;
    let inbox = Arc::new(Inbox::new(system.clone()));
    let (dial_only, planted) = (config.dial_only, config.planted);
    let endpoint = Config { dial_only, planted, ..Config::new(config.listen, config.identity.clone(), incarnation) };
    let endpoint = Endpoint::bind(&host, endpoint, inbox.clone())?;
    let roads = Arc::new(Roads { endpoint: endpoint.clone(), inbox });
    // Weakly: the roads lead to the system again, and a node that was dropped must not live on by a circle.
    let of_system = Arc::downgrade(&roads);
    system.set_routes(move |node| Arc::new(Way::new(node.clone(), of_system.upgrade())));
    let finder = Finder { system: system.clone(), roads, host };
    let furnished = furnish(&finder, incarnation, store, config).await;
    if furnished.is_err() {
        system.stop(Duration::ZERO).await;
        endpoint.close("the node does not start").await;
    }
    furnished
}

/// What a node has beside its endpoint and its threads.
async fn furnish(
    finder: &Finder,
    incarnation: Incarnation,
    store: Option<Store>,
    config: NodeConfig,
) -> Result<Inner, StartError> {
    let Finder { system, roads, host } = finder;
    let (endpoint, inbox) = (&roads.endpoint, &roads.inbox);
    let watchtower = Watchtower::raise(finder.clone(), incarnation)?;
    let (mut listed, own) = (config.coordinators, system.node());
    let group = match &config.coordinate {
        Some(coordinate) => Some(take_part(finder, incarnation, coordinate).await?),
        None => None,
    };
    // What its journal says of the others holds; who has none yet asks.
    let members = group.iter().filter(|group| group.waits().is_none()).flat_map(Group::members);
    for member in members {
        if let (Ok(name), Ok(address)) = (NodeName::new(&member.name), member.address.parse())
            && listed.iter().all(|(listed, _)| *listed != name)
        {
            listed.push((name, address));
        }
    }
    // Without it this would be another cluster.
    if listed.is_empty() && group.is_some() && config.join.is_empty() {
        let why = "a coordinator without a journal begins a cluster, named by `coordinators`, or joins one";
        return Err(StartError::Config(why.into()));
    }
    if listed.is_empty() && !config.join.is_empty() {
        listed = discover(finder, &config.join, JOIN_WITHIN).await.map_err(StartError::Join)?;
    }
    for (coordinator, address) in &mut listed {
        if coordinator == own {
            // It may listen at a port that was chosen for it.
            *address = endpoint.local_addr();
        } else {
            endpoint.connect(coordinator.clone(), *address);
        }
    }
    let coordinators = Coordinators::new(finder.clone(), &listed);
    if let Some(coordinators) = &coordinators {
        coordinators.follow(system)?;
    }
    let mut coordinates = None;
    if let (Some(coordinate), Some(group), Some(coordinators)) = (config.coordinate, group, &coordinators) {
        let started = start_coordinator(finder, incarnation, coordinate.plane, group, coordinators, &listed).await?;
        let hears = started.0.clone();
        inbox.listen(Box::new(move |node, incarnation, up| {
            // If there is no room for it, silence will be noticed, and a node that asks is told who leads.
            let _ = hears.tell(Link { node: node.clone(), incarnation, up });
        }));
        coordinates = Some(started);
    }
    let mut offers = None;
    let of_workers = store.clone().filter(|_| config.capacity > 0);
    if let (Some(store), Some(coordinators)) = (of_workers, &coordinators) {
        let ground = Ground {
            node: system.node().clone(),
            incarnation,
            coordinators: coordinators.clone(),
            tasks: config.tasks,
            disk: host.disk().clone(),
            store,
            blocking: Blocking::new(config.capacity.max(2) as usize),
            calls: Blocking::new(config.capacity as usize),
            roster: Roster::default(),
            over: Arc::default(),
        };
        let (capacity, of_agent) = (config.capacity, ground.clone());
        let factory = move || Agent::new(of_agent.clone(), capacity);
        // It knows its node's workers; after a panic nobody would.
        let options = SpawnOptions { restart: Restart::NEVER, stoppable: false, ..SpawnOptions::default() };
        let started = system.spawn_remote(ActorName::new(AGENT).expect("a name"), options, factory)?;
        offers = Some((started.clone(), ground));
        inbox.listen(Box::new(move |node, _, up| {
            // If there is no room for this, a coordinator that does not know this life asks for it at its next beat.
            let _ = started.tell(PeerLink { node: node.clone(), up });
        }));
    }
    for (peer, address) in config.peers {
        endpoint.connect(peer, address);
    }
    let names = coordinators.clone().map(|coordinators| Names::new(finder.clone(), incarnation, coordinators));
    let stage = names.clone().map(Stage::new);
    Ok(Inner {
        finder: finder.clone(),
        watchtower,
        incarnation,
        store,
        coordinators,
        coordinates,
        offers,
        names,
        stage,
        submissions: Arc::default(),
    })
}

/// Whether a coordinator has kept its journal in this folder.
pub(crate) fn has_journal(disk: &playhouse_rt::Disk, data: &std::path::Path) -> std::io::Result<bool> {
    match disk.list(data) {
        Ok(files) => Ok(files.iter().any(|file| file.name == JOURNAL)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Opens the journal of a coordinator, and takes part in the agreement with what it says.
async fn take_part(
    finder: &Finder,
    incarnation: Incarnation,
    coordinate: &Coordinate,
) -> Result<Group<Replica<Plane>>, StartError> {
    let (name, system, data) = (finder.system.node(), &finder.system, &coordinate.data);
    let disk = finder.host.disk().clone();
    disk.create_dir_all(data).map_err(|error| StartError::Data { folder: data.display().to_string(), error })?;
    let journal = (disk.clone(), data.join(JOURNAL), Blocking::new(2));
    let calls = Arc::new(Calls { system: system.clone(), roads: Arc::downgrade(&finder.roads) });
    let annals = Annals::open(disk.clone(), task_log::folder(data), Blocking::new(1), Bounds::default()).await?;
    let copy = Replica::new(name, incarnation, TaskScribe::default(), Some(annals));
    Ok(Group::join(name.clone(), coordinate.profile, journal, copy, calls).await?)
}

/// Starts the coordinator of this node. One that is new among others waits until they have taken it.
async fn start_coordinator(
    finder: &Finder,
    incarnation: Incarnation,
    mut plane: PlaneConfig,
    group: Group<Replica<Plane>>,
    coordinators: &Coordinators,
    listed: &[(NodeName, SocketAddr)],
) -> Result<Coordinating, StartError> {
    let (name, system) = (finder.system.node(), &finder.system);
    // Above all that an earlier cluster of this name gave, unless that took more than a thousand jobs a millisecond: a late report to that
    // one must not be mistaken for one to this.
    if !plane.planted.reuse_job_numbers {
        plane.first_job = plane.first_job.max(incarnation.0.saturating_mul(JOBS_PER_MS));
    }
    let founds = listed.iter().any(|(listed, _)| listed == name);
    let member = |(name, address): &(NodeName, SocketAddr)| Member { name: name.to_string(), address: address.to_string() };
    let founders: Vec<Member> = if founds { listed.iter().map(member).collect() } else { Vec::new() };
    let (of_group, known) = (group.clone(), coordinators.clone());
    let agreement = move || Agreement {
        group: of_group.clone(),
        coordinators: known.clone(),
        founders: founders.clone(),
        inquires: Arc::default(),
    };
    let options = SpawnOptions { stoppable: false, ..SpawnOptions::default() };
    system.spawn_remote(ActorName::new(AGREEMENT).expect("a name"), options, agreement)?;
    let planted = plane.planted;
    let mut hands = Some(PlaneHands::new(finder.clone(), coordinators.clone(), group.clone(), plane));
    let shared = group.clone();
    let factory = move || {
        let hands = hands.take().expect("a coordinator is never built anew");
        Coordinator::new(shared.clone(), hands, planted)
    };
    // After a panic the node starts anew: what was agreed on is in the journal.
    let options = SpawnOptions { mailbox: PLANE_MAILBOX, restart: Restart::NEVER, stoppable: false, ..SpawnOptions::default() };
    let coordinator = system.spawn_remote(ActorName::new(COORDINATOR).expect("a name"), options, factory)?;
    if !founds {
        let enrol = Enrol { node: name.clone(), address: finder.roads.endpoint.local_addr() };
        let until = playhouse_rt::now() + ENROL_WITHIN;
        let enrolled = coordinators.ask(enrol, CHANGE_WITHIN, Some(until)).await;
        enrolled.map_err(|error| StartError::Enrol(error.to_string()))?.map_err(StartError::Enrol)?;
    }
    Ok((coordinator, group))
}
