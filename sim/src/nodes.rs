//! Nodes of an application in a [`World`]: what each of them runs is said once, and runs again whenever it comes back.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use playhouse::rt::sync::oneshot;
use playhouse::rt::{self, Host};
use playhouse::{Authority, Identity, Node, NodeConfig, NodeName};

use crate::director::{self, Cue, Director};
use crate::plan::{Draw, Offer, Plan};
use crate::world::World;

/// Where nodes of an application listen.
const PORT: u16 = 4433;

/// Certificates are good for so long.
const VALID: Duration = Duration::from_secs(10 * 365 * 86_400);

type App = Arc<dyn Fn(Node) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// The nodes that were declared.
#[derive(Default)]
pub(crate) struct Nodes {
    authority: Option<Authority>,
    configs: BTreeMap<String, NodeConfig>,
    apps: BTreeMap<String, App>,
    /// How many plans were drawn.
    draws: u32,
}

/// The node went away before its work was done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} lost its power before it was done")]
pub struct Gone(pub String);

impl World {
    /// Declares a cluster: nodes of these names, each with a certificate of one authority and a connection to every other one. None
    /// of them runs yet.
    ///
    /// # Panics
    /// When there is a cluster already, or a name is none ([`NodeName`]).
    pub fn cluster<const N: usize>(&self, names: [&str; N]) {
        assert!(self.nodes().configs.is_empty(), "a world has one cluster");
        let authority = Authority::new("sim", rt::sim::wall_clock()).expect("an authority can be made");
        let named = |name: &str| NodeName::new(name).unwrap_or_else(|error| panic!("{name:?} is no name for a node: {error}"));
        let addresses = names.map(|name| SocketAddr::new(self.ip(name), PORT));
        for (at, name) in names.into_iter().enumerate() {
            let identity: Identity =
                authority.issue(&named(name), rt::sim::wall_clock(), VALID).expect("an identity can be issued");
            let mut config = NodeConfig::actors(identity, addresses[at]);
            config.threads = 1;
            let others = names.into_iter().zip(addresses).filter(|(other, _)| *other != name);
            config.peers = others.map(|(other, address)| (named(other), address)).collect();
            self.nodes().configs.insert(name.into(), config);
        }
        self.nodes().authority = Some(authority);
    }

    /// Changes how a node of the cluster is configured, before it starts.
    ///
    /// # Panics
    /// When the cluster has no such node.
    pub fn configure(&self, name: &str, change: impl FnOnce(&mut NodeConfig)) {
        let mut nodes = self.nodes();
        change(nodes.configs.get_mut(name).unwrap_or_else(|| panic!("{}", unknown(name))));
    }

    fn config(&self, name: &str) -> NodeConfig {
        self.nodes().configs.get(name).cloned().unwrap_or_else(|| panic!("{}", unknown(name)))
    }

    /// Starts a node that runs `app`, now and each time that it comes back after a crash. The node lives until it is taken away, also when
    /// `app` has ended.
    ///
    /// # Panics
    /// When the cluster has no such node, or it runs already. Within the simulation, when the node does not start.
    pub fn node<F, A>(&self, name: &str, app: A)
    where
        A: Fn(Node) -> F + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        self.nodes().apps.insert(name.into(), Arc::new(move |node| Box::pin(app(node))));
        self.back(name);
    }

    /// Starts a node again that was taken away.
    ///
    /// # Panics
    /// When there was none of that name, or it runs.
    pub fn back(&self, name: &str) {
        let config = self.config(name);
        let app = self.nodes().apps.get(name).cloned().unwrap_or_else(|| panic!("nothing was started at {name:?}"));
        self.start(name, move |host| async move {
            let node = begin(host, config).await;
            app(node.clone()).await;
            std::future::pending::<()>().await;
        });
    }

    /// Starts a node, does `work` once on it, and gives what it gives. The work begins now, whether or not it is waited for; the node stays
    /// afterwards, and does not come back after a crash.
    ///
    /// # Errors
    /// When the node loses its power first.
    ///
    /// # Panics
    /// As [`World::node`].
    pub fn run<T, F, W>(&self, name: &str, work: W) -> impl Future<Output = Result<T, Gone>> + use<T, F, W>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
        W: FnOnce(Node) -> F + Send + 'static,
    {
        let config = self.config(name);
        let (tell, told) = oneshot::channel();
        self.start(name, move |host| async move {
            let node = begin(host, config).await;
            let _ = tell.send(work(node.clone()).await);
            std::future::pending::<()>().await;
        });
        let name = name.to_string();
        async move { told.await.map_err(|_| Gone(name)) }
    }

    /// Draws faults from the world's seed, within the first `within_ms` virtual milliseconds from when they are [played](World::play). Each call
    /// draws others. When a saved plan is run, or one is shrunk, each call gives that plan's faults of the call of the same number instead.
    pub fn draw(&self, within_ms: u64, offers: &[Offer<'_>]) -> Plan {
        let call = {
            let mut nodes = self.nodes();
            nodes.draws += 1;
            nodes.draws - 1
        };
        if let Some(mut plan) = crate::test::given() {
            plan.faults.retain(|timed| timed.call == call);
            return plan;
        }
        // The first is what the seed draws; a later one has dice of its own, which no other call shifts.
        let seed = if call == 0 { self.seed() } else { self.random(&format!("draw {call}")).next_u64() };
        let mut draw = Draw::new(seed);
        draw.swarm(within_ms, offers);
        let mut plan = Plan { dice: self.seed(), climate: self.weather().climate(), ..draw.finish() };
        plan.faults.iter_mut().for_each(|timed| timed.call = call);
        crate::test::drawn(&plan);
        plan
    }

    /// Carries a plan out, to its end: nodes that lose their power come back with what [`World::node`] started there.
    ///
    /// # Panics
    /// When the plan has a fault that only another scenario knows.
    pub async fn play(&self, plan: &Plan) {
        let mut director = Director::new(plan);
        while let Some(cue) = director.next(self).await {
            match cue {
                Cue::Crash { node, lose_disk } => director::fell(self, &node, lose_disk).await,
                // What its actors had to do is left, as after a signal that nobody handles.
                Cue::Stop(node) => self.end(&node).await,
                Cue::Back(node) if !self.is_up(&node) && self.nodes().apps.contains_key(&node) => self.back(&node),
                Cue::Back(_) => {}
                Cue::Own { name, .. } => panic!("the plan has a fault that this test does not know: {name:?}"),
            }
        }
    }
}

async fn begin(host: Host, config: NodeConfig) -> Node {
    Node::start(host, config).await.unwrap_or_else(|error| panic!("a node does not start: {error}"))
}

fn unknown(name: &str) -> String {
    format!("the cluster has no node {name:?}; declare it: world.cluster([{name:?}, …])")
}
