//! Who belongs to a group: how it is founded, and who comes and goes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use openraft::error::{ClientWriteError, InitializeError, RaftError};
use openraft::{ChangeMembers, Raft, ServerState};
use playhouse_rt::{Random, now, sleep, timeout};
use playhouse_wire::NodeName;

use super::election::leads;
use super::group::{Group, GroupError, Inner, standing};
use super::network::{Question, ask};
use super::seat::{Presence, Seat};
use super::state::Replicated;
use super::types::{Member, Number, Types};
use crate::limits::{
    ADMIT_RETRY, ADMIT_TRIES, ASK_DEADLINE, ASK_RETRY, BEHIND_MAX, CATCH_UP_WAIT, CHANGE_WAIT, ENTER_WAIT, FOUND_WAIT, VOTERS_MAX,
};

type Nodes = BTreeMap<Number, Member>;

impl<S: Replicated> Group<S> {
    /// Begins a group of these members, of which this is one. Fine if it was begun so before. All of them must run: each is asked whether it
    /// belongs to a group already, for one that has lost its disk must not found a second one. The first of them by name does it: the others
    /// are refused until that one has, so try again.
    ///
    /// # Errors
    /// When this is not the first of them, one of them belongs to a group, does not answer within [`FOUND_WAIT`], or this member has stopped.
    pub async fn found(&self, members: &[Member]) -> Result<(), GroupError> {
        let (inner, members) = (&self.0, numbered(members)?);
        if !members.contains_key(&inner.me) {
            return Err(GroupError::Refused(format!("{} is not among those who are to found the group", inner.name)));
        }
        if let Some(extra) = members.values().nth(VOTERS_MAX) {
            return Err(GroupError::Full { member: extra.to_string() });
        }
        // It was told that it forgot, in an earlier life: its log is of a group.
        if inner.raft().is_none() && inner.presence().has_begun() {
            return Err(GroupError::Exists { member: inner.name.to_string() });
        }
        if let Some(raft) = inner.raft()
            && inner.presence().has_begun()
        {
            let metrics = raft.metrics();
            let known: Nodes = nodes(&metrics.borrow());
            return match inner.seat() {
                Seat::In { .. } if known == members => Ok(()),
                // Of others, or its leader has let it in meanwhile.
                Seat::In { .. } => Err(GroupError::Exists { member: inner.name.to_string() }),
                Seat::Out { .. } => {
                    Err(inner.why_it_waits().map_or(GroupError::Exists { member: inner.name.to_string() }, Into::into))
                }
            };
        }
        let mut group = match inner.seat() {
            Seat::In { group } => Some(group),
            Seat::Out { .. } => None,
        };
        let mut seats = Vec::new();
        for (number, member) in members.iter().filter(|(number, _)| **number != inner.me) {
            let presence: Presence = self.ask(member, &Question::Presence, FOUND_WAIT).await?;
            match presence.seat {
                // The founder has done it.
                Seat::In { group: other } if Some(other) == group && presence.has_begun() => return Ok(()),
                // The founder is at it; or was, and has lost its disk since: then it goes on with the number that it gave.
                Seat::In { group: other } if !presence.has_begun() && other == *group.get_or_insert(other) => {}
                Seat::Out { life } if !presence.has_begun() => seats.push((*number, life)),
                Seat::In { .. } | Seat::Out { .. } => return Err(GroupError::Exists { member: member.to_string() }),
            }
        }
        // One of them, so that there is one number.
        let founder = members.values().map(|member| &member.name).min();
        if let Some(founder) = founder.filter(|founder| *founder != inner.name.as_str()) {
            return Err(GroupError::Refused(format!("{founder} founds the group, as the first of its members by name")));
        }
        // A number that no other group has, also none of the same founders: members of two groups must not take each other for theirs.
        let group = group.unwrap_or_else(|| Random::here("number of a group").next_u64());
        if let Seat::Out { life } = inner.seat() {
            inner.take_seat(life, group).await.map_err(GroupError::Refused)?;
        }
        for (number, life) in seats {
            self.ask::<Result<(), String>>(&members[&number], &Question::Seat { life, group }, FOUND_WAIT)
                .await?
                .map_err(GroupError::Refused)?;
        }
        let Some(raft) = inner.taking_part() else {
            return Err(GroupError::Refused("this member was told that it forgot".into()));
        };
        match raft.initialize(members).await {
            Ok(()) => Ok(()),
            // Another founder was faster, and this member votes for it.
            Err(RaftError::APIError(InitializeError::NotAllowed(_))) => Ok(()),
            Err(RaftError::APIError(error)) => Err(GroupError::Refused(error.to_string())),
            Err(RaftError::Fatal(fatal)) => Err(GroupError::Stopped(fatal.to_string())),
        }
    }

    /// Asks the leader of a group, which one of these members knows, to let this one in, who is reached as `own`; as a voter, or to learn.
    /// Waits for it; not long, if it is in. For a new member, for one that has moved, and for one that has lost its disk: that
    /// is found by its leader in any case, but the leader may be lost before the member is in again. So call it at each start. A member whose
    /// journal says that it belonged to the group, and that was removed since, stays out: that is not undone by itself.
    ///
    /// # Errors
    /// When it has taken longer than [`ENTER_WAIT`], as with nobody leading; or the member has stopped.
    pub async fn enter(&self, own: Member, known: &[Member], votes: bool) -> Result<(), GroupError> {
        let me = number_of(&own)?;
        if me != self.0.me {
            return Err(GroupError::Refused(format!("{} is not the name of this member", own.name)));
        }
        let began = now();
        let question = Question::Admit { member: own.clone(), votes };
        let is_in = |(member, voter): &(Member, bool)| *member == own && (*voter || !votes);
        // Perhaps at another address.
        let is_known = |(member, voter): &(Member, bool)| member.name == own.name && (*voter || !votes);
        let before = self.0.presence();
        // It has had its place, as its journal says; or the leader of this term has given it one, which a majority may not have yet. Who is
        // removed while it runs may not hear the end of that change: its journal ends with who voted before and after it.
        let had_vote = self.0.taking_part().is_some_and(|raft| {
            let stored = raft.metrics().borrow().membership_config.clone();
            stored.membership().get_joint_config().first().is_some_and(|voters| voters.contains(&self.0.me))
        });
        let had_seat = self.0.taking_part().is_some() && before.is_settled && before.members.iter().any(is_known);
        let mut had_place = had_vote || had_seat;
        let mut given_in = None;
        loop {
            if self.0.has_stopped() {
                return Err(GroupError::Stopped("it was told to".into()));
            }
            // Before the leader is asked: what it said before this member had its seat is of the time before it was removed.
            let has_seat = self.0.taking_part().is_some();
            // Those who were known at first may all be gone by now.
            let mut asked = self.members();
            asked.extend(known.iter().filter(|member| asked.iter().all(|other| other != *member)).cloned().collect::<Vec<_>>());
            if let Some((leader, presence)) = self.leader_of(&own, &asked).await {
                let (is_listed, is_known) = (presence.members.iter().any(is_in), presence.members.iter().any(is_known));
                if !has_seat {
                    (had_place, given_in) = (false, None);
                } else if is_known {
                    had_place |= presence.is_settled;
                    given_in = Some(presence.term);
                }
                let is_removed = has_seat && !is_known && (had_place || given_in == Some(presence.term));
                if is_removed && presence.is_settled {
                    // Whoever did that would not have it back by itself.
                    return Ok(());
                }
                let both = [presence, self.0.presence()];
                if has_seat && both.iter().all(|presence| presence.is_settled && presence.members.iter().any(is_in)) {
                    return Ok(());
                }
                if is_removed || (has_seat && is_listed) {
                    // There is nothing to ask for, only to wait.
                } else if leader.name == own.name {
                    let _ = self.0.is_asked_to_admit(own.clone(), votes);
                } else {
                    let _ = ask::<Result<(), String>>(&*self.0.transport, &leader, &question, ASK_DEADLINE).await;
                }
            }
            if now() - began > ENTER_WAIT {
                return Err(GroupError::Late { what: format!("letting {own} in"), within: ENTER_WAIT });
            }
            sleep(ADMIT_RETRY).await;
        }
    }

    /// The member of this name, who is not known here: who was away while another one came is spoken to by a stranger, who may even lead. All
    /// that this one knew may be gone, so the stranger's word is enough: that it belongs to the group of this number, as this member does. But
    /// one that is known, and has as much in its log, knows better if it does not count the stranger among the members: it was removed.
    ///
    /// So whoever has a certificate of the cluster and lies is let in. It could become a member in any case.
    pub async fn vouched(&self, stranger: &NodeName) -> Option<Member> {
        if self.0.profile.planted.strangers_stay {
            return None;
        }
        // It has a connection to this node, or will be there again.
        let unknown = Member { name: stranger.to_string(), address: String::new() };
        let is_ours = |presence: &Presence| presence.seat == self.0.seat() && matches!(presence.seat, Seat::In { .. });
        let said = self.presence_of(&unknown).await.ok().filter(is_ours)?;
        let lists = |presence: &Presence, name: &str| presence.members.iter().find(|(member, _)| member.name == name).cloned();
        let (member, _) = lists(&said, stranger.as_str()).filter(|_| lists(&said, self.0.name.as_str()).is_some())?;
        let knows_better = |presence: &Presence| presence.last >= said.last && lists(presence, stranger.as_str()).is_none();
        if knows_better(&self.0.presence()) {
            return None;
        }
        for known in self.members().iter().filter(|known| known.name != self.0.name.as_str()) {
            if self.presence_of(known).await.ok().filter(is_ours).is_some_and(|presence| knows_better(&presence)) {
                return None;
            }
        }
        Some(member)
    }

    /// Who leads, as one of these says, and what the leader says of itself.
    async fn leader_of(&self, own: &Member, known: &[Member]) -> Option<(Member, Presence)> {
        if self.0.leading().is_ok() {
            return Some((own.clone(), self.0.presence()));
        }
        for seed in known.iter().filter(|seed| seed.name != own.name) {
            let Ok(Presence { leader: Some(leader), .. }) = self.presence_of(seed).await else { continue };
            if let Ok(presence) = self.presence_of(&leader).await
                && presence.leader.as_ref() == Some(&leader)
            {
                return Some((leader, presence));
            }
        }
        None
    }

    async fn presence_of(&self, member: &Member) -> Result<Presence, String> {
        ask(&*self.0.transport, member, &Question::Presence, ASK_DEADLINE).await
    }

    /// Adds a member that hears all, and when it has caught up lets it vote. Waits for that. One that votes already is taken with its new
    /// address, if that has changed; and if it has lost its disk, it is removed and added anew.
    ///
    /// # Errors
    /// When this member does not lead, the new one does not answer or not catch up in time, there are [`VOTERS_MAX`] voters already, or no
    /// majority agrees in time.
    pub async fn add(&self, member: Member) -> Result<(), GroupError> {
        self.has_in(member, true).await
    }

    /// Adds a member that hears all, and does not vote. Waits until it has caught up. One that votes goes on voting.
    ///
    /// # Errors
    /// As with [`Group::add`].
    pub async fn learn(&self, member: Member) -> Result<(), GroupError> {
        self.has_in(member, false).await
    }

    async fn has_in(&self, member: Member, votes: bool) -> Result<(), GroupError> {
        let number = number_of(&member)?;
        let adds = move |inner: Arc<Inner<S>>| async move {
            inner.known.lock().is_removed(number, false);
            inner.bring(member, votes).await
        };
        self.0.clone().changes(adds).await
    }

    /// Lets a member vote that has learned so far. Nothing, if it votes.
    ///
    /// # Errors
    /// As with [`Group::add`], and when it is no member.
    pub async fn promote(&self, name: &NodeName) -> Result<(), GroupError> {
        let number = Member::number(name);
        self.0.clone().changes(move |inner| async move { inner.promotes(number).await }).await
    }

    /// Lets a member vote no more. It goes on learning. Nothing, if it does not vote.
    ///
    /// # Errors
    /// As with [`Group::add`].
    pub async fn demote(&self, name: &NodeName) -> Result<(), GroupError> {
        let number = Member::number(name);
        self.0
            .clone()
            .changes(move |inner| async move { inner.change(ChangeMembers::RemoveVoters([number].into()), true).await })
            .await
    }

    /// Removes a member, which may be this one, whether it votes or learns. Nothing, if it is none.
    ///
    /// # Errors
    /// As with [`Group::add`].
    pub async fn remove(&self, name: &NodeName) -> Result<(), GroupError> {
        let number = Member::number(name);
        let removal = move |inner: Arc<Inner<S>>| async move {
            {
                let mut known = inner.known.lock();
                known.wishes.remove(&number);
                known.is_removed(number, true);
            }
            inner.removes(number).await
        };
        self.0.clone().changes(removal).await
    }

    /// Asks a member until it answers.
    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        member: &Member,
        question: &Question,
        within: Duration,
    ) -> Result<T, GroupError> {
        self.0.asks(member, question, within).await
    }
}

impl<S: Replicated> Inner<S> {
    async fn asks<T: serde::de::DeserializeOwned>(
        &self,
        member: &Member,
        question: &Question,
        within: Duration,
    ) -> Result<T, GroupError> {
        let began = now();
        loop {
            match ask(&*self.transport, member, question, ASK_DEADLINE).await {
                Ok(answer) => return Ok(answer),
                Err(why) if now() - began >= within || self.has_stopped() => {
                    return Err(GroupError::Silent { member: member.to_string(), within, why });
                }
                Err(_) => sleep(ASK_RETRY).await,
            }
        }
    }

    /// Changes the membership, one change after the other, in a task of its own: openraft leaves a change half done when nobody waits for it.
    async fn changes<F>(self: Arc<Self>, change: impl FnOnce(Arc<Self>) -> F + Send + 'static) -> Result<(), GroupError>
    where
        F: Future<Output = Result<(), GroupError>> + Send + 'static,
    {
        let within = CHANGE_WAIT;
        let turn = timeout(within, self.changing.clone().acquire_owned()).await;
        let late = || GroupError::Late { what: "an earlier change of the membership".into(), within };
        let turn = turn.map_err(|_| late())?.unwrap_or_else(|_| unreachable!("nobody closes it"));
        let task = playhouse_rt::spawn(async move {
            let done = match self.completes().await {
                Ok(()) => change(self).await,
                Err(error) => Err(error),
            };
            drop(turn);
            done
        });
        task.await.unwrap_or_else(|lost| Err(GroupError::Stopped(lost.to_string())))
    }

    /// openraft's part, if this member leads.
    fn leading(&self) -> Result<Raft<Types>, GroupError> {
        let Some(raft) = self.taking_part() else {
            return Err(self.why_it_waits().map_or(GroupError::NotLeader(None), Into::into));
        };
        if leads(&raft) { Ok(raft) } else { Err(GroupError::NotLeader(standing(&raft.metrics().borrow()).leader)) }
    }

    /// Makes one change.
    async fn change(&self, change: ChangeMembers<Number, Member>, retain: bool) -> Result<(), GroupError> {
        timely("a change of the membership", self.leading()?.change_membership(change, retain)).await
    }

    /// Ends a change that an earlier leader had begun: those who vote before and after it do until then.
    async fn completes(&self) -> Result<(), GroupError> {
        let raft = self.leading()?;
        let joint: Vec<BTreeSet<Number>> = raft.metrics().borrow().membership_config.membership().get_joint_config().clone();
        let [_, .., goal] = &joint[..] else { return Ok(()) };
        let end = raft.change_membership(ChangeMembers::ReplaceAllVoters(goal.clone()), true);
        timely("an earlier change of the membership", end).await
    }

    async fn removes(&self, number: Number) -> Result<(), GroupError> {
        let raft = self.leading()?;
        let (is_voter, is_known) = place_of(&raft, number);
        if is_voter {
            let mut gone = BTreeSet::from([number]);
            if self.profile.planted.removes_two {
                let voters: Vec<Number> = raft.metrics().borrow().membership_config.voter_ids().collect();
                gone.extend(voters.into_iter().find(|voter| *voter != number && *voter != self.me));
            }
            self.change(ChangeMembers::RemoveVoters(gone), false).await?;
        }
        // An earlier change may have left it as a learner.
        if is_known && place_of(&raft, number).1 && number != self.me {
            self.change(ChangeMembers::RemoveNodes([number].into()), true).await?;
        }
        self.known.lock().begins_anew(number);
        Ok(())
    }

    async fn promotes(&self, number: Number) -> Result<(), GroupError> {
        let raft = self.leading()?;
        let (voters, member) = {
            let metrics = raft.metrics();
            let metrics = metrics.borrow();
            let membership = metrics.membership_config.membership();
            (membership.voter_ids().collect::<BTreeSet<_>>(), membership.get_node(&number).cloned())
        };
        let Some(member) = member else { return Err(GroupError::Refused("it is no member; add it".into())) };
        if voters.contains(&number) {
            return Ok(());
        }
        if voters.len() >= VOTERS_MAX {
            return Err(GroupError::Full { member: member.to_string() });
        }
        self.waits_until_caught_up(&raft, number, &member).await?;
        self.change(ChangeMembers::AddVoterIds([number].into()), true).await
    }

    /// Adds a member, or adds it anew.
    async fn bring(&self, member: Member, votes: bool) -> Result<(), GroupError> {
        let (raft, number) = (self.leading()?, number_of(&member)?);
        let (is_voter, _) = place_of(&raft, number);
        if !is_voter && votes && raft.metrics().borrow().membership_config.voter_ids().count() >= VOTERS_MAX {
            return Err(GroupError::Full { member: member.to_string() });
        }
        if number == self.me {
            return self.has_address(&raft, number, member).await;
        }
        let Seat::In { group } = self.seat() else { return Err(GroupError::NotLeader(None)) };
        let presence: Result<Presence, GroupError> = self.asks(&member, &Question::Presence, ASK_DEADLINE).await;
        let presence = match presence {
            // It may be down for a while; what is to be done for it can wait.
            Err(GroupError::Silent { .. }) if is_voter => return self.has_address(&raft, number, member).await,
            presence => presence?,
        };
        let presence = self.reminds(&raft, number, &member, presence).await?;
        match presence.seat {
            Seat::In { group: other } if other == group => {
                if self.known.lock().was_removed(number) && !place_of(&raft, number).1 {
                    // It did not hear that it was removed, and wishes what nobody wants any more.
                    self.known.lock().wishes.remove(&number);
                    return Ok(());
                }
            }
            Seat::In { .. } => return Err(GroupError::Exists { member: member.to_string() }),
            Seat::Out { life } => {
                // Only when no majority counts on what it forgot any more, it may take part.
                self.removes(number).await?;
                let seat = Question::Seat { life, group };
                // It must be taken up again, should the rest fail.
                let _ = self.known.lock().wish(number, member.clone(), votes || is_voter);
                self.asks::<Result<(), String>>(&member, &seat, ASK_DEADLINE * 3).await?.map_err(GroupError::Refused)?;
            }
        }
        self.has_address(&raft, number, member.clone()).await?;
        self.waits_until_caught_up(&raft, number, &member).await?;
        if votes || is_voter {
            self.promotes(number).await?;
        }
        self.known.lock().wishes.remove(&number);
        Ok(())
    }

    /// Tells a member what it has acknowledged, if it seems to have forgotten it.
    async fn reminds(
        &self,
        raft: &Raft<Types>,
        number: Number,
        member: &Member,
        presence: Presence,
    ) -> Result<Presence, GroupError> {
        let forgot = self.known.lock().forgot.get(&number).copied();
        let Some(acknowledged) = forgot.filter(|_| matches!(presence.seat, Seat::In { .. })) else { return Ok(presence) };
        let leader = raft.metrics().borrow().vote;
        let presence = self.asks(member, &Question::Forgot { leader, acknowledged }, ASK_DEADLINE).await?;
        self.known.lock().forgot.remove(&number);
        Ok(presence)
    }

    /// Has the member in the membership, with this address.
    async fn has_address(&self, raft: &Raft<Types>, number: Number, member: Member) -> Result<(), GroupError> {
        let known = raft.metrics().borrow().membership_config.membership().get_node(&number).cloned();
        match known {
            Some(known) if known == member => Ok(()),
            // Its certificate proves its name wherever it is, so it cannot be somebody else there.
            Some(_) => self.change(ChangeMembers::SetNodes([(number, member)].into()), true).await,
            None => self.change(ChangeMembers::AddNodes([(number, member)].into()), true).await,
        }
    }

    async fn waits_until_caught_up(&self, raft: &Raft<Types>, number: Number, member: &Member) -> Result<(), GroupError> {
        let mut metrics = raft.metrics();
        let caught_up = async {
            loop {
                {
                    let now = metrics.borrow_and_update();
                    let matched = now.replication.as_ref().and_then(|all| all.get(&number).copied().flatten());
                    if now.state != ServerState::Leader {
                        return Err(GroupError::NotLeader(standing(&now).leader));
                    }
                    if matched.is_some_and(|matched| matched.index + BEHIND_MAX >= now.last_log_index.unwrap_or(0)) {
                        return Ok(());
                    }
                }
                metrics.changed().await.map_err(|_| GroupError::Stopped("it was told to".into()))?;
            }
        };
        let late = GroupError::Late { what: format!("{member}, to catch up with the others,"), within: CATCH_UP_WAIT };
        timeout(CATCH_UP_WAIT, caught_up).await.unwrap_or(Err(late))
    }

    /// Lets in who wants it, and who has lost what it had. Called again and again while this member leads.
    pub(super) fn welcome(self: Arc<Self>) {
        let is_left = |raft: Raft<Types>| raft.metrics().borrow().membership_config.membership().get_joint_config().len() > 1;
        // One that is under way here holds the permit.
        let is_left = self.raft().is_some_and(is_left) && self.changing.available_permits() > 0;
        if !(is_left || self.known.lock().has_work()) || self.welcoming.swap(true, Ordering::SeqCst) {
            return;
        }
        playhouse_rt::spawn(async move {
            let Ok(raft) = self.leading() else { return self.welcoming.store(false, Ordering::SeqCst) };
            let known: Nodes = nodes(&raft.metrics().borrow());
            let work: Vec<(Number, Member, bool)> = {
                let mut knowledge = self.known.lock();
                knowledge.wishes.values_mut().for_each(|wish| wish.tries += 1);
                // Whoever still wants it asks again.
                knowledge.wishes.retain(|_, wish| wish.tries <= ADMIT_TRIES);
                let found: BTreeSet<Number> = knowledge.out.keys().chain(knowledge.forgot.keys()).copied().collect();
                knowledge.out.clear();
                let wished = knowledge.wishes.iter().map(|(number, wish)| (*number, wish.member.clone(), wish.votes));
                let found = found.iter().filter(|number| !knowledge.wishes.contains_key(number));
                let found = found.filter_map(|number| Some((*number, known.get(number)?.clone(), false)));
                wished.chain(found).collect()
            };
            if is_left {
                let _ = self.clone().changes(|_| async { Ok(()) }).await;
            }
            for (number, member, votes) in work {
                let bring = move |inner: Arc<Self>| async move {
                    // Meanwhile it may have been removed: then nobody wishes it any more.
                    let is_wished = inner.known.lock().wishes.contains_key(&number);
                    if is_wished || place_of(&inner.leading()?, number).1 { inner.bring(member, votes).await } else { Ok(()) }
                };
                let done = self.clone().changes(bring).await;
                // What only takes long is tried again; and who has lost his disk is met again.
                if !matches!(done, Err(GroupError::Silent { .. } | GroupError::Late { .. } | GroupError::Refused(_))) {
                    self.known.lock().wishes.remove(&number);
                }
            }
            sleep(ADMIT_RETRY).await;
            self.welcoming.store(false, Ordering::SeqCst);
        });
    }
}

async fn timely<T>(
    what: &str,
    change: impl Future<Output = Result<T, RaftError<Number, ClientWriteError<Number, Member>>>>,
) -> Result<(), GroupError> {
    match timeout(CHANGE_WAIT, change).await {
        Err(_) => Err(GroupError::Late { what: what.into(), within: CHANGE_WAIT }),
        Ok(Ok(_)) => Ok(()),
        Ok(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(to)))) => {
            Err(GroupError::NotLeader(to.leader_node.map(|member| member.name)))
        }
        Ok(Err(RaftError::APIError(error))) => Err(GroupError::Refused(error.to_string())),
        Ok(Err(RaftError::Fatal(fatal))) => Err(GroupError::Stopped(fatal.to_string())),
    }
}

/// Whether it votes, and whether it is a member at all.
fn place_of(raft: &Raft<Types>, number: Number) -> (bool, bool) {
    let metrics = raft.metrics();
    let metrics = metrics.borrow();
    let membership = metrics.membership_config.membership();
    (membership.voter_ids().any(|voter| voter == number), membership.get_node(&number).is_some())
}

fn nodes(metrics: &openraft::RaftMetrics<Number, Member>) -> Nodes {
    metrics.membership_config.nodes().map(|(number, member)| (*number, member.clone())).collect()
}

pub(super) fn number_of(member: &Member) -> Result<Number, GroupError> {
    let name = NodeName::new(&member.name).map_err(|error| GroupError::Refused(format!("{:?}: {error}", member.name)))?;
    Ok(Member::number(&name))
}

fn numbered(members: &[Member]) -> Result<Nodes, GroupError> {
    let numbered: Nodes =
        members.iter().map(|member| Ok((number_of(member)?, member.clone()))).collect::<Result<_, GroupError>>()?;
    if numbered.len() == members.len() { Ok(numbered) } else { Err(GroupError::Refused("two members have one name".into())) }
}
