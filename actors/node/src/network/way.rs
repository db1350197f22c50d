//! The way from references to connections.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use playhouse_actors::{Outgoing, RawItems, Route, RouteError, Watching};
use playhouse_net::Endpoint;
use playhouse_rt::sync::oneshot;
use playhouse_wire::limits::{DEADLINE_MAX, STREAM_ITEMS, TELL_WEIGHT};
use playhouse_wire::packet::error_text;
use playhouse_wire::{ActorName, CallId, Exit, Lane, NodeName, Packet, Parcel};

use super::calls::{Open, Reply};
use super::conn::Conn;
use super::datagrams;
use super::flow::{Flow, NoCredit, needs_credit};
use super::items::{Items, Reader};
use super::{Inbox, Refused, lock, short};
use crate::limits::OUTBOUND_WATCHES;

/// What all ways of a node share.
pub(crate) struct Roads {
    pub(crate) endpoint: Endpoint,
    pub(crate) inbox: Arc<Inbox>,
}

/// The way to another node through its connection, whichever that is at the moment. Each reference has its own.
pub(crate) struct Way {
    node: NodeName,
    /// `None`: this node has stopped.
    roads: Option<Arc<Roads>>,
    last: Mutex<Last>,
}

/// What was used last, and most probably is used next.
#[derive(Default)]
struct Last {
    conn: Option<Arc<Conn>>,
    flow: Option<Arc<Flow>>,
    /// For short packets.
    scratch: Vec<u8>,
}

/// The longest payload of a packet that is encoded into the scratch.
const SHORT: usize = 2 * 1024;

/// The credit of a message that was not sent.
fn give_back(sent: &Result<(), RouteError>, conn: &Conn, flow: Option<&Flow>, weight: usize) {
    if let (Err(_), Some(flow)) = (sent, flow) {
        flow.give_back(weight);
        conn.granted();
    }
}

impl Way {
    pub(crate) fn new(node: NodeName, roads: Option<Arc<Roads>>) -> Way {
        Way { node, roads, last: Mutex::default() }
    }

    fn conn(&self) -> Result<Arc<Conn>, RouteError> {
        self.conn_of(&mut lock(&self.last))
    }

    fn conn_of(&self, last: &mut Last) -> Result<Arc<Conn>, RouteError> {
        if let Some(conn) = &last.conn
            && !conn.is_over()
        {
            return Ok(conn.clone());
        }
        *last = Last::default();
        let roads = self.roads.as_ref().ok_or_else(|| RouteError::Unreachable("this node has stopped".into()))?;
        let live = || roads.endpoint.peer(&self.node);
        let conn = live().and_then(|peer| roads.inbox.conn(&peer, || live() == Some(peer.clone())));
        let conn = conn.ok_or_else(|| {
            let why = roads.endpoint.last_error(&self.node).map_or(String::new(), |why| format!(": {why}"));
            RouteError::Unreachable(format!("no connection to {}{why}", self.node))
        })?;
        last.conn = Some(conn.clone());
        Ok(conn)
    }

    /// Sees to it that `last` has the connection, and the flow to an actor on a lane that needs credit, unless there are too many.
    fn prepare(&self, last: &mut Last, lane: Lane, to: &ActorName) -> Result<(), RouteError> {
        if last.conn.as_ref().is_none_or(|conn| conn.is_over()) {
            self.conn_of(last)?;
        }
        let Some(conn) = &last.conn else { unreachable!("it was found") };
        if last.flow.as_ref().is_none_or(|flow| flow.lane != lane || flow.to != *to) {
            last.flow = conn.flows.find(lane, to);
        }
        Ok(())
    }

    /// Notes, for the ledger of a simulation, by which way a message left.
    fn note(&self, sent: &Result<(), RouteError>, conn: &Conn, message: &Outgoing<'_>) {
        if let (Ok(()), Some(roads)) = (sent, &self.roads) {
            conn.left(message.lane, message.tag, roads.inbox.system.node());
        }
    }

    /// Opens a call and sends what asks for it.
    fn call<'a>(
        &self,
        conn: &Arc<Conn>,
        message: &Outgoing<'_>,
        open: Open,
        packet: impl FnOnce(CallId) -> Packet<'a>,
    ) -> Result<CallId, RouteError> {
        let call = conn.calls.open(open).map_err(|(refused, _)| match refused {
            Refused::Over => RouteError::Unreachable(format!("the connection to {} ended", self.node)),
            Refused::Full | Refused::Twice => RouteError::Full,
        })?;
        let sent = conn.send(message.lane, &packet(call));
        self.note(&sent, conn, message);
        if sent.is_err() {
            conn.calls.forget(call);
        }
        sent.map(|()| call)
    }
}

fn parcel<'a>(message: &Outgoing<'a>) -> Parcel<'a> {
    let Outgoing { to, id, priority, trace, payload, .. } = *message;
    Parcel { to: to.as_str(), message: id, priority, trace, payload }
}

fn milliseconds(within: Duration) -> u32 {
    within.min(DEADLINE_MAX).as_millis().try_into().unwrap_or(u32::MAX)
}

impl Route for Way {
    fn node(&self) -> &NodeName {
        &self.node
    }

    fn tell(&self, message: &Outgoing<'_>) -> Result<(), RouteError> {
        let (lane, length) = (message.lane, message.payload.len());
        let packet = Packet::Tell(parcel(message));
        let mut last = lock(&self.last);
        if message.unreliable && datagrams::tell(&*self.conn_of(&mut last)?, message, &packet) {
            return Ok(());
        }
        loop {
            self.prepare(&mut last, lane, message.to)?;
            let Last { conn: Some(conn), flow, scratch } = &mut *last else { unreachable!("it was prepared") };
            let weight = length + TELL_WEIGHT;
            if needs_credit(lane).is_some() {
                match flow.as_ref().map(|flow| flow.take(weight)) {
                    Some(Ok(())) => {}
                    Some(Err(NoCredit::Full)) | None => return Err(RouteError::Full),
                    Some(Err(NoCredit::Dead)) => {
                        *flow = None;
                        continue;
                    }
                }
            }
            let sent = if length <= SHORT {
                conn.send_short(lane, &packet, scratch)
            } else {
                let (conn, flow) = (conn.clone(), flow.clone());
                drop(last);
                let sent = conn.send(lane, &packet);
                give_back(&sent, &conn, flow.as_deref(), weight);
                self.note(&sent, &conn, message);
                return sent;
            };
            give_back(&sent, conn, flow.as_deref(), weight);
            self.note(&sent, conn, message);
            return sent;
        }
    }

    fn ready<'a>(&'a self, lane: Lane, to: &'a ActorName) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(async move {
            let (conn, flow) = {
                let mut last = lock(&self.last);
                match self.prepare(&mut last, lane, to) {
                    Ok(()) => (last.conn.clone(), last.flow.clone()),
                    Err(_) => return,
                }
            };
            let Some(conn) = conn else { return };
            // First the lane: who has waited for credit goes on at once, or those behind wait for nothing.
            conn.room(lane).await;
            if needs_credit(lane).is_some() {
                conn.credit().await;
            }
            if let Some(flow) = &flow {
                flow.ready().await;
            } else if needs_credit(lane).is_some() {
                conn.grant(|| conn.flows.find(lane, to).is_none()).await;
            }
        })
    }

    fn ask(&self, message: &Outgoing<'_>, within: Duration, reply: Reply) -> Result<u64, RouteError> {
        let open = Open::Ask { to: message.to.clone(), lane: message.lane, reply };
        let deadline_ms = milliseconds(within);
        let asked = |call| Packet::Ask { call, deadline_ms, parcel: parcel(message) };
        self.call(&self.conn()?, message, open, asked).map(|call| call.0)
    }

    fn cancel(&self, call: u64) {
        // Asks end with their connection; one that was made through an earlier one has ended.
        let conn = lock(&self.last).conn.clone();
        if let Some(conn) = conn {
            conn.cancel(CallId(call));
        }
    }

    fn open(&self, message: &Outgoing<'_>, within: Duration) -> Result<RawItems, RouteError> {
        let generous = self.roads.as_ref().is_some_and(|roads| roads.inbox.system.planted().credit_too_generous);
        let (conn, items) = (self.conn()?, Arc::new(Items::new(generous)));
        let open = Open::Stream { to: message.to.clone(), lane: message.lane, items: items.clone() };
        let (deadline_ms, window) = (milliseconds(within), STREAM_ITEMS);
        let opened = |call| Packet::Open { call, deadline_ms, window, parcel: parcel(message) };
        let call = self.call(&conn, message, open, opened)?;
        Ok(Box::pin(Reader { conn, call, items }))
    }

    fn watch(&self, to: &ActorName, link: Option<&ActorName>) -> Watching {
        let lost = |why: String| Box::pin(std::future::ready(Exit::NodeLost(why)));
        let conn = match self.conn() {
            Ok(conn) => conn,
            Err(error) => return lost(error.to_string()),
        };
        let (watcher, exit) = oneshot::channel();
        match conn.calls.open(Open::Watch(watcher)) {
            Ok(call) => {
                let link = link.map(ActorName::as_str);
                if !conn.post(Lane::System, &Packet::Watch { call, to: to.as_str(), link }) {
                    conn.calls.forget(call);
                    return lost(format!("the connection to {} ended", self.node));
                }
                Box::pin(Watch { conn, call, exit, done: false })
            }
            Err((Refused::Over, _)) => lost(format!("the connection to {} ended", self.node)),
            Err(_) => lost(format!("{OUTBOUND_WATCHES} actors there are watched from here already: this one is not")),
        }
    }

    fn stop(&self, to: &ActorName, exit: Exit) {
        if let Ok(conn) = self.conn() {
            conn.post(Lane::System, &Packet::Stop { to: to.as_str(), exit: short(exit) });
        }
    }
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Way to {}", self.node)
    }
}

/// The end of an actor of another node, to be waited for.
struct Watch {
    conn: Arc<Conn>,
    call: CallId,
    exit: oneshot::Receiver<Exit>,
    done: bool,
}

impl Future for Watch {
    type Output = Exit;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Exit> {
        let exit = Pin::new(&mut self.exit).poll(cx);
        exit.map(|exit| {
            self.done = true;
            exit.unwrap_or_else(|_| Exit::NodeLost(error_text("the watch was given up".into())))
        })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if !self.done {
            self.conn.cancel(self.call);
        }
    }
}
