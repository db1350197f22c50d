//! Owners who claim one key in step: each call of one happens at the same moment as one of the other.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::sync::{Arc, Condvar, Mutex};

use playhouse_rt::DirEntry;

use super::*;

/// A place where all who are there act at once: first all look, then all write. Nobody sees what is written while he looks, which is the
/// worst that can happen to those who claim.
#[derive(Debug)]
struct InStep {
    state: Mutex<State>,
    moved: Condvar,
}

#[derive(Debug)]
struct State {
    /// Who still has something to do.
    there: usize,
    arrived: usize,
    step: u64,
    names: BTreeSet<OsString>,
    /// As it was before this step.
    seen: BTreeSet<OsString>,
}

impl InStep {
    /// Waits until all who are there act, too, and acts.
    fn act<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.state.lock().unwrap();
        let step = state.step;
        state.arrived += 1;
        self.begins(&mut state);
        let mut state = self.moved.wait_while(state, |state| state.step == step).unwrap();
        act(&mut state)
    }

    fn begins(&self, state: &mut State) {
        if state.arrived == state.there {
            (state.arrived, state.step, state.seen) = (0, state.step + 1, state.names.clone());
            self.moved.notify_all();
        }
    }

    fn leave(&self) {
        let mut state = self.state.lock().unwrap();
        state.there -= 1;
        self.begins(&mut state);
    }
}

impl Place for InStep {
    fn root(&self) -> &Path {
        Path::new("")
    }

    fn make(&self, _: &Path) -> Result<(), Failed> {
        Ok(())
    }

    fn publish(&self, _: &Path, file: &Path, _: &[u8]) -> Result<(), Failed> {
        self.act(|state| state.names.insert(file.file_name().unwrap().into()));
        Ok(())
    }

    fn settle(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, _: &Path) -> io::Result<Vec<DirEntry>> {
        let seen = self.act(|state| state.seen.clone());
        Ok(seen.into_iter().map(|name| DirEntry { name, kind: Kind::File(1) }).collect())
    }

    fn read(&self, _: &Path) -> io::Result<Vec<u8>> {
        unreachable!("who claims reads nothing")
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        // Nobody waits for it.
        self.state.lock().unwrap().names.remove(file.file_name().unwrap());
        Ok(())
    }

    fn remove_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

/// What became of the claims of some owners, in their order.
fn claim_in_step(owners: &[&'static str]) -> Vec<Result<u64, SaveError>> {
    let names = BTreeSet::new();
    let state = State { there: owners.len(), arrived: 0, step: 0, seen: names.clone(), names };
    let place = Arc::new(InStep { state: Mutex::new(state), moved: Condvar::new() });
    let claims = owners.iter().copied().map(|owner| {
        let place = place.clone();
        std::thread::spawn(move || {
            let claimed = Folder::new(&*place, &Key::new("k").unwrap()).claim(owner, 0);
            place.leave();
            claimed
        })
    });
    claims.collect::<Vec<_>>().into_iter().map(|claim| claim.join().unwrap()).collect()
}

#[test]
fn of_those_who_claim_in_step_one_has_it() {
    for owners in [&["a", "b"][..], &["b", "a"], &["c", "a", "b"], &["e", "d", "c", "b", "a"]] {
        let claimed = claim_in_step(owners);
        let fences: Vec<u64> = claimed.iter().filter_map(|claim| claim.as_ref().ok().copied()).collect();
        assert_eq!(fences.len(), 1, "{owners:?}: {claimed:?}");
        assert!(claimed.iter().all(|claim| matches!(claim, Ok(_) | Err(SaveError::Fenced { .. }))), "{owners:?}: {claimed:?}");
    }
}
