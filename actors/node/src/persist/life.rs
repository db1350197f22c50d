//! How a life of a persistent actor begins, and what it does besides its messages.

use std::time::Duration;

use playhouse_actors::prelude::*;
use playhouse_rt::sync::oneshot;
use playhouse_store::{Key, Reason};
use playhouse_wire::decode;

use super::keep::{Keep, split};
use super::{Journaled, PersistError, Persistent, Saved};

/// Applies an event.
pub(super) type Replay<A> = fn(&mut A, &[u8]) -> Result<(), String>;

pub(super) fn replay<A: Journaled>(actor: &mut A, bytes: &[u8]) -> Result<(), String> {
    actor.apply(decode(bytes).map_err(|error| error.to_string())?);
    Ok(())
}

/// What comes before each life: the actor waits for its state. `told` is told what came of the first.
pub(super) fn begin<A: Persistent>(
    keep: Keep<A>,
    every: Duration,
    after: u32,
    replay: Option<Replay<A>>,
    told: oneshot::Sender<Result<(), PersistError>>,
) -> impl FnMut(&mut A, &mut Ctx<A>) + Send + 'static {
    let mut told = Some(told);
    move |_, ctx| {
        let (keep, told) = (keep.clone(), told.take());
        keep.shared.begin();
        ctx.exclusively(async move |actor, ctx| match recover(&keep, actor, replay).await {
            Ok(()) => {
                actor.recovered(ctx);
                saves_itself(&keep, every, after, ctx);
                if let Some(told) = told {
                    let _ = told.send(Ok(()));
                }
            }
            Err(error) => {
                tracing::warn!(key = %keep.shared.key, %error, "a persistent actor does not recover");
                match told {
                    Some(told) => {
                        let _ = told.send(Err(error));
                        ctx.stop();
                    }
                    None if error.is_fenced() => ctx.stop(),
                    // Its restart policy says how often it tries.
                    None => ctx.fail(error),
                }
            }
        });
    }
}

/// Gives the actor the state that was kept.
async fn recover<A: Persistent>(keep: &Keep<A>, actor: &mut A, replay: Option<Replay<A>>) -> Result<(), PersistError> {
    let shared = &keep.shared;
    let foreign = |key: &Key, why: String| PersistError::Foreign { key: key.clone(), why };
    // A life that follows a failure takes nothing back from who has taken over.
    shared.store.hold(&shared.key, shared.fence).await?;
    let (mut event, mut base) = (0, 0);
    if let Some(checkpoint) = shared.store.load(&shared.key).await? {
        for damage in &checkpoint.skipped {
            if matches!(damage.reason, Reason::Unreadable(_)) {
                return Err(PersistError::Unreadable(damage.clone()));
            }
            tracing::warn!(file = %damage.file.display(), reason = %damage.reason, "a damaged checkpoint was passed over");
        }
        let parts = split(&checkpoint.value).ok_or_else(|| foreign(&shared.key, "it is too short".into()))?;
        let (version, last, bytes) = parts;
        let state = if version == A::VERSION {
            decode(bytes).map_err(|error| format!("version {version}: {error}"))
        } else {
            A::migrate(version, bytes)
        };
        actor.load(state.map_err(|why| foreign(&shared.key, why))?);
        (event, base) = (last, checkpoint.fence);
    }
    let covered = event;
    for kept in shared.store.events(&shared.key, event, base).await? {
        let replay = replay.ok_or_else(|| PersistError::NotJournaled(shared.key.clone()))?;
        replay(actor, &kept.value).map_err(|why| foreign(&shared.key, format!("event {}: {why}", kept.number)))?;
        event = kept.number;
    }
    playhouse_rt::reachable!("recovered");
    playhouse_rt::ledger::record("recovered", || format!("{} fence {} at event {event}", shared.key, shared.fence));
    let mut state = shared.state();
    state.event = event;
    state.covered = (covered, covered);
    Ok(())
}

/// Saves at times, after messages, and when it is asked to.
fn saves_itself<A: Persistent>(keep: &Keep<A>, every: Duration, after: u32, ctx: &mut Ctx<A>) {
    let of_times = keep.clone();
    ctx.run_interval(every, move |actor, ctx| save(&of_times, actor, ctx));
    let of_counts = keep.clone();
    ctx.run_each(after, move |_, _| {
        of_counts.shared.state().due = true;
        of_counts.shared.wish.notify_one();
    });
    listen(keep.clone(), ctx);
}

/// Saves of its own accord, one at a time.
fn save<A: Persistent>(keep: &Keep<A>, actor: &mut A, ctx: &mut Ctx<A>) {
    {
        let mut state = keep.shared.state();
        state.due = false;
        if std::mem::replace(&mut state.saving, true) {
            return;
        }
    }
    let (keep, saved) = (keep.clone(), keep.save_if_changed(actor));
    ctx.spawn(saved.into_actor(actor).map(move |saved: Result<Saved, PersistError>, _, _| {
        keep.shared.state().saving = false;
        if let Err(error) = saved {
            tracing::warn!(key = %keep.shared.key, %error, "a persistent actor was not saved; the next interval tries again");
        }
    }));
}

/// Waits for wishes.
fn listen<A: Persistent>(keep: Keep<A>, ctx: &mut Ctx<A>) {
    let shared = keep.shared.clone();
    let wished = wrap(async move { shared.wish.notified().await });
    ctx.spawn(wished.map(move |(), actor: &mut A, ctx: &mut Ctx<A>| {
        let (lost, due) = {
            let state = keep.shared.state();
            (state.lost, state.due)
        };
        if lost {
            tracing::warn!(key = %keep.shared.key, "a persistent actor ends: another one has taken over");
            return ctx.stop();
        }
        let asked = keep.shared.asked();
        if !asked.is_empty() {
            let saved = keep.save(actor);
            ctx.spawn(saved.into_actor(actor).map(move |saved, _, _| {
                for answer in asked {
                    // Who gave up needs no answer.
                    let _ = answer.send(saved.clone());
                }
            }));
        }
        if due {
            save(&keep, actor, ctx);
        }
        listen(keep, ctx);
    }));
}

fn wrap<A: Actor, F: Future<Output = ()> + 'static>(future: F) -> actix::fut::future::FutureWrap<F, A> {
    actix::fut::wrap_future(future)
}
