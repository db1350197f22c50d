//! Playhouse: actors for Rust that run on one node or on many, and rehearse every failure before opening night.
//!
//! Add this crate. With [`prelude`] write actors and spawn them in a [`System`]; with a [`Node`] the same references reach actors on
//! other machines over QUIC with mutual TLS, and the cluster runs typed tasks ([`Job`], [`Tasks`]) on supervised workers.
//!
//! [`Node::start`] is the one function that assembles everything below; the command line and the simulator call the same.

mod agent;
mod agreement;
mod calls;
mod client;
mod coordinator;
mod coordinators;
pub mod demo;
mod entities;
mod finder;
mod ground;
mod inspect;
mod job;
pub mod limits;
mod members;
mod messages;
mod metrics;
mod names;
mod network;
mod node;
mod persist;
#[cfg(feature = "prometheus")]
pub mod prometheus;
mod registry;
mod report;
mod shard;
mod shell;
mod start;
mod starts;
mod status;
pub mod task_log;
mod tasks;
mod tree;
mod worker;

pub use calls::{Call, CallError};
pub use client::{Client, ClientError, JobHandle};
pub use coordinator::Coordinator;
pub use entities::{Hosting, MoveError};
pub use inspect::{Inspect, Inspection, Sort};
pub use job::{Job, Value};
pub use messages::{ClusterStatus, CoordinatorStatus, Replan, Traffic};
pub use metrics::{ActorFigures, Histogram, KindFigures, LaneFigures, Metrics, OTHER_KINDS, PeerFigures};
pub use names::{Claim, ClaimError};
pub use node::{Coordinate, Node, NodeConfig, StartError};
pub use persist::{Journaled, Keep, Persist, PersistError, PersistStatus, Persisted, Persistent, Saved};
pub use status::{DatagramCounts, PeerStatus};
pub use tasks::{Function, TaskCx, TaskError, Tasks};
pub use tree::Tree;

pub use playhouse_actors::supervise;
pub use playhouse_actors::{
    ActorStatus, Ask, AskError, BuildError, Counters, DeadLetter, DeadLetters, Distribution, Exit, Group, GroupFull, Letter,
    Membership, Origin, Shutdown, System, Told, Topic, TreeError,
};
#[doc(hidden)]
pub use playhouse_cluster::Planted as PlantedInAgreement;
pub use playhouse_cluster::{GroupError, Profile};
pub use playhouse_macros::{actor, sim};
#[doc(hidden)]
pub use playhouse_net::Planted as PlantedInNet;
pub use playhouse_net::{
    Authority, CertError, Certificate, FileError, FileWarning, Identity, IdentityPem, Loaded, RenewError, Stats, Utc,
};
pub use playhouse_plane::{
    JobId, JobOutcome, JobStatus, MonitorConfig, Owner, PlaneConfig, Planted, Quota, StreamEvent, TenantId, WindowResult,
};
pub use playhouse_rt as rt;
pub use playhouse_store::{Damage, LoadError, SaveError, Store, Version};
pub use playhouse_wire::{ActorName, BadName, EncodeError, Incarnation, Lane, MessageId, NodeName, Time};

/// What an author of actors or tasks needs.
pub mod prelude {
    pub use crate::rt::{self, Host};
    pub use crate::{Authority, Client, Function, Identity, Job, Node, NodeConfig, TaskCx, TaskError, Tasks, Value, actor};
    pub use crate::{Journaled, Keep, PersistError, Persistent};
    pub use playhouse_actors::prelude::*;
}

/// What [`actor`] writes names these; nobody else should.
#[doc(hidden)]
pub mod __macros {
    pub use actix::{Actor, Handler, Message, MessageResult, Running};
    pub use playhouse_actors::{Ask, Ctx, Exclusive, Later, Protocol, Ref, Remote, Streaming, TellError};
    pub use playhouse_wire::{Lane, MessageId, Priority};
    pub use serde;
}

/// The examples of the macro's page, which must run.
#[cfg(doctest)]
#[doc = include_str!("../../macros/src/actor.md")]
struct ActorMacro;

/// The programs of the guide, which must run.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/guide.md")]
struct Guide;

/// The examples of the README, which must run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
