//! Spans of messages, continued across nodes.
#![allow(missing_docs)]
#![cfg(not(madsim))]

mod common;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use common::{actor_name, join, name, run};
use playhouse::prelude::*;
use serde::{Deserialize, Serialize};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::{Interest, Subscriber};
use tracing::{Event, Metadata};

/// Keeps the fields of all spans of messages.
#[derive(Clone, Default)]
struct Listener(Arc<Ears>);

#[derive(Default)]
struct Ears {
    next: AtomicU64,
    /// Where messages are sent from: the test itself.
    senders: AtomicBool,
    /// Where they are handled: the threads of actors.
    handlers: AtomicBool,
    spans: Mutex<Vec<BTreeMap<&'static str, String>>>,
}

impl Subscriber for Listener {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> Interest {
        // Ask each time: who listens changes.
        Interest::sometimes()
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let handles = std::thread::current().name().is_some_and(|name| name.starts_with("local-"));
        let listens = if handles { &self.0.handlers } else { &self.0.senders };
        metadata.target() == "playhouse::message" && listens.load(SeqCst)
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields::default();
        span.record(&mut fields);
        self.0.spans.lock().unwrap().push(fields.0);
        Id::from_u64(self.0.next.fetch_add(1, SeqCst) + 1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.into());
    }
}

impl Listener {
    /// Who listens from now on; what was heard is forgotten.
    fn listen(&self, senders: bool, handlers: bool) {
        self.0.senders.store(senders, SeqCst);
        self.0.handlers.store(handlers, SeqCst);
        self.0.spans.lock().unwrap().clear();
    }

    fn heard(&self) -> Vec<BTreeMap<&'static str, String>> {
        self.0.spans.lock().unwrap().clone()
    }
}

/// Passes a question on, to one that passes it on.
struct Relay(Option<Ref<Relay>>);

impl Actor for Relay {
    type Context = Ctx<Self>;
}

impl Remote for Relay {
    fn protocol(protocol: &mut Protocol<Self>) {
        protocol.message::<Pass>(1);
    }
}

#[derive(Serialize, Deserialize)]
struct Pass;

impl Message for Pass {
    type Result = u32;
}

impl Handler<Pass> for Relay {
    type Result = Later<u32>;

    fn handle(&mut self, _: Pass, _: &mut Ctx<Self>) -> Later<u32> {
        let next = self.0.clone();
        Later::new(async move {
            match next {
                Some(next) => next.ask(Pass).await.unwrap() + 1,
                None => 1,
            }
        })
    }
}

#[test]
fn one_trace_goes_there_and_back_and_only_if_somebody_listens() {
    let listener = Listener::default();
    tracing::subscriber::set_global_default(listener.clone()).unwrap();
    run(|world| {
        let listener = listener.clone();
        async move {
            let (a, b) = (world.node("a").await, world.node("b").await);
            join(&a, &b).await;
            let relay = |node: &Node, name: &str, next: Option<Ref<Relay>>| {
                let options = SpawnOptions::default();
                node.system().spawn_remote(actor_name(name), options, move || Relay(next.clone())).unwrap()
            };
            // The test asks `first` on a, that one `second` on b, that one `third` on a.
            relay(&a, "third", None);
            relay(&b, "second", b.actor(&name("a"), "third"));
            let first = relay(&a, "first", a.actor(&name("b"), "second"));

            listener.listen(true, true);
            assert_eq!(first.ask(Pass).await.unwrap(), 3);
            let spans = listener.heard();
            let who: Vec<_> =
                spans.iter().map(|span| format!("{} {} {}", span["node"], span["actor"], span["message"])).collect();
            assert_eq!(who, ["a first Pass", "b second Pass", "a third Pass"]);
            let [first_span, second, third] = &spans[..] else { unreachable!() };
            assert_eq!((&second["trace"], &third["trace"]), (&first_span["trace"], &first_span["trace"]), "one trace");
            assert_eq!((&second["parent"], &third["parent"]), (&first_span["span"], &second["span"]), "a chain");
            assert!(first_span["span"] != second["span"] && second["span"] != third["span"], "{spans:?}");
            assert_eq!((first_span["trace"].len(), first_span["span"].len()), (32, 16), "the widths of W3C's trace context");

            let again = first.ask(Pass).await.unwrap();
            assert_eq!((again, listener.heard().len()), (3, 6));
            assert_ne!(listener.heard()[3]["trace"], first_span["trace"], "another question is another trace");

            // Nobody listens where it is sent: nothing is sent along, so that those who handle it hear nothing, though they listen.
            listener.listen(false, true);
            let to_b = relay(&b, "last", None);
            assert_eq!(a.actor::<Relay>(b.name(), "last").unwrap().ask(Pass).await.unwrap(), 1);
            assert_eq!(to_b.ask(Pass).await.unwrap(), 1);
            assert_eq!(listener.heard(), []);

            // Nobody listens where it is handled: nothing is recorded.
            listener.listen(true, false);
            assert_eq!(first.ask(Pass).await.unwrap(), 3);
            assert_eq!(listener.heard(), []);
        }
    });
}
