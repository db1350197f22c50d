//! When the leader beats, and when somebody else wants to lead.
//!
//! openraft could do both, but looks at its timers only every one and a half beats, draws a member's patience once for all its life, and
//! lets a member that was cut off for a while throw the leader over. So it is told when: the leader beats on time; and who has heard nothing
//! for long enough first asks the others whether they would vote for him, which changes nothing and costs no sync.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use openraft::{Raft, ServerState};
use playhouse_rt::sync::mpsc;
use playhouse_rt::{Instant, Random, now};

use super::group::Inner;
use super::network::{Question, ask};
use super::state::Replicated;
use super::types::{LogId, Member, Number, Types};
use crate::limits::FOLLOWED_WITHIN;

/// What a member has heard, and whom it has promised its vote for the next moment.
#[derive(Debug)]
pub(super) struct Hearing(Mutex<Heard>);

#[derive(Debug)]
struct Heard {
    /// When a leader last said that it lives; at first, when this member began to listen.
    leader: Instant,
    /// Until then it does not want to lead.
    waits: Instant,
    promise: Option<(Number, Instant)>,
}

impl Hearing {
    pub(super) fn new() -> Hearing {
        let now = now();
        Hearing(Mutex::new(Heard { leader: now, waits: now, promise: None }))
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A leader lives.
    pub(super) fn hears(&self) {
        self.lock().leader = now();
    }

    /// This member does not want to lead for so long.
    pub(super) fn waits(&self, duration: Duration) {
        let mut heard = self.lock();
        heard.waits = heard.waits.max(now() + duration);
    }

    /// Whether `from` may have the vote of `me`: not while a leader lives, nor while it is promised to another one. Of two who ask each
    /// other at the same time, the one with the higher number may.
    pub(super) fn would(&self, me: Number, from: Number, silence: Duration) -> bool {
        let mut heard = self.lock();
        let now = now();
        if now < heard.leader + silence {
            return false;
        }
        let free = heard.promise.is_none_or(|(to, until)| now >= until || to == from || (to == me && from > me));
        if free {
            heard.promise = Some((from, now + silence / 4));
            heard.waits = heard.waits.max(now + silence / 4);
        }
        free
    }

    /// Whether `me` has promised its vote to itself, and still may.
    fn is_own(&self, me: Number) -> bool {
        self.lock().promise.is_some_and(|(to, _)| to == me)
    }
}

/// Beats while this member leads, and lets it be elected when nobody does. Ends with the member.
pub(super) async fn drive<S: Replicated>(member: Weak<Inner<S>>) {
    let mut random = Random::here("election");
    let mut patience = Duration::ZERO;
    loop {
        let Some(inner) = member.upgrade().filter(|inner| !inner.has_stopped()) else { return };
        let beat = inner.profile.beat;
        let part_taken = inner.taking_part();
        if !part_taken.as_ref().is_some_and(leads) {
            // What was found out as a leader is of no use to anybody else, and old when it leads again.
            inner.known.lock().forget();
        }
        let wait = match part_taken {
            None => beat,
            Some(raft) if leads(&raft) => {
                // One that can only speak is no leader: it must not keep the others from electing one. It still finds out when it is
                // heard again, by calls that are further apart than an election takes.
                if is_followed(&inner, &raft) {
                    // Should it be voted out, it gives the new one its time.
                    inner.hearing.hears();
                } else {
                    playhouse_rt::reachable!("not-followed");
                }
                let _ = raft.trigger().heartbeat().await;
                inner.clone().welcome();
                beat
            }
            Some(raft) => match due(&inner, &raft, patience) {
                None => beat,
                Some(due) => {
                    let wait = due.saturating_duration_since(now());
                    if wait.is_zero() {
                        let tried = stand(&inner, &raft).await;
                        let silence = inner.profile.silence;
                        // An election takes the syncs of two disks, and must not be cut short by the next one. Who was not let stand lets
                        // others try.
                        let pause = if tried { silence } else { silence / 10 };
                        inner.hearing.waits(pause + part(silence / 4, &mut random));
                        patience = part(silence / 20, &mut random);
                        silence / 40
                    } else {
                        wait.min(beat)
                    }
                }
            },
        };
        let wakes = now() + wait;
        drop(inner);
        playhouse_rt::sleep(wait).await;
        // Who stood still hears first what has come meanwhile.
        if now() > wakes + beat
            && let Some(inner) = member.upgrade()
        {
            inner.hearing.waits(beat);
        }
    }
}

fn part(of: Duration, random: &mut Random) -> Duration {
    Duration::from_micros(random.below(of.as_micros() as u64 + 1))
}

pub(super) fn leads(raft: &Raft<Types>) -> bool {
    raft.metrics().borrow().state == ServerState::Leader
}

/// Whether a majority has answered to this leader within [`FOLLOWED_WITHIN`] silences.
fn is_followed<S: Replicated>(inner: &Inner<S>, raft: &Raft<Types>) -> bool {
    let membership = raft.metrics().borrow().membership_config.clone();
    let majorities = membership.membership().get_joint_config();
    inner.known.lock().is_followed(inner.me, majorities, inner.profile.silence * FOLLOWED_WITHIN)
}

/// When this member wants to lead, if nobody is heard until then. Each voter waits a little longer than the one before it, beginning
/// behind the one who led, so that they rarely stand against each other.
fn due<S: Replicated>(inner: &Inner<S>, raft: &Raft<Types>, patience: Duration) -> Option<Instant> {
    let metrics = raft.metrics();
    let metrics = metrics.borrow();
    let voters: Vec<Number> = metrics.membership_config.membership().voter_ids().collect();
    let mine = voters.iter().position(|voter| *voter == inner.me)?;
    let heard = inner.hearing.lock();
    if voters.len() == 1 {
        return Some(heard.waits);
    }
    let led = metrics.vote.leader_id().voted_for().and_then(|led| voters.iter().position(|voter| *voter == led));
    let place = led.map_or(mine, |led| (mine + voters.len() - led - 1) % voters.len());
    let silence = inner.profile.silence;
    Some((heard.leader + silence + silence / 20 + silence / 10 * place as u32 + patience).max(heard.waits))
}

/// Asks the others, and if a majority would vote for this member, lets it stand. Whether it did.
async fn stand<S: Replicated>(inner: &Arc<Inner<S>>, raft: &Raft<Types>) -> bool {
    let (membership, me, silence) = (raft.metrics().borrow().membership_config.clone(), inner.me, inner.profile.silence);
    let last = inner.log.last();
    let began = now();
    if membership.voter_ids().count() > 1 && !inner.hearing.would(me, me, silence) {
        return false;
    }
    let mut for_me = vec![me];
    let enough = |for_me: &[Number]| {
        let configs = membership.membership().get_joint_config();
        configs.iter().all(|voters| voters.iter().filter(|voter| for_me.contains(voter)).count() * 2 > voters.len())
    };
    let (send, mut answers) = mpsc::channel(crate::limits::VOTERS_MAX * 2);
    for (number, member) in membership.nodes().filter(|(number, _)| **number != me) {
        if membership.voter_ids().any(|voter| voter == *number) {
            playhouse_rt::spawn(would(inner.clone(), (*number, member.clone()), last, send.clone()));
        }
    }
    drop(send);
    while !enough(&for_me) {
        let Some(voter) = answers.recv().await else { return false };
        for_me.push(voter);
    }
    // Meanwhile a leader may have been heard, or the vote been promised to another one.
    let heard = inner.hearing.lock().leader;
    let free = membership.voter_ids().count() == 1 || inner.hearing.is_own(me);
    heard < began && free && raft.trigger().elect().await.is_ok()
}

async fn would<S: Replicated>(
    inner: Arc<Inner<S>>,
    (number, member): (Number, Member),
    last: Option<LogId>,
    yes: mpsc::Sender<Number>,
) {
    let question = Question::Would { from: inner.me, last };
    if ask(&*inner.transport, &member, &question, inner.profile.silence / 4).await == Ok(true) {
        let _ = yes.send(number).await;
    }
}
