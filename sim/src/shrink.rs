//! Takes away from a plan what a failure does not need.
//!
//! A change of the plan shifts the dice behind it, so a candidate is tried with a few dice before it is given up. Removal is delta
//! debugging (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002): halves first, then quarters, down to
//! single faults. Nodes that the scenario can do without are left out, with all that befalls them; sizes come down, faults are weakened and
//! moved to rounder times, and all of it again until nothing helps.

use serde_json::Value;

use crate::plan::{Dial, Extras, Plan, Timed};

/// What a failure is told from others by: its kind, the promise that broke, and where it panicked or never yielded, if that is known. Not by
/// what was seen: a smaller plan breaks the same promise at another time, with other numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aim {
    kind: String,
    promise: String,
    place: String,
}

impl Aim {
    /// That of a verdict, as `Verdict::json` or a report has it.
    pub fn of(verdict: &Value) -> Aim {
        let [kind, promise, place] =
            ["kind", "promise", "place"].map(|part| verdict[part].as_str().unwrap_or_default().to_string());
        Aim { kind, promise, place }
    }

    /// Whether a run that ended so failed in the same way.
    pub fn is_met_by(&self, verdict: &Value) -> bool {
        let other = Aim::of(verdict);
        let same_place = self.place.is_empty() || self.place == other.place;
        (&self.kind, &self.promise) == (&other.kind, &other.promise) && same_place
    }
}

/// A verdict in words: the promise, and what was seen instead. None when all held.
pub fn words(verdict: &Value) -> Option<String> {
    let seen = verdict["seen"].as_str()?;
    Some(verdict["promise"].as_str().map_or_else(|| seen.to_string(), |promise| format!("{promise}: {seen}")))
}

/// A way to run many plans and to know whether one of them fails as the first one did.
pub trait Trial {
    /// The index of the first of `plans` that breaks the same promise; `None` if none does, or when time is up.
    fn first_that_fails(&mut self, plans: &[Plan]) -> Option<usize>;

    /// The nodes that may be left out.
    fn extras(&self) -> Extras {
        Extras::NONE
    }

    /// Whether time is up: shrinking ends with what it has.
    fn is_over(&self) -> bool;

    /// A smaller plan was found.
    fn found(&mut self, plan: &Plan);
}

/// Each candidate is tried with so many dice.
const DICE: u64 = 3;

/// Below this, a size comes down by one, too.
const SMALL: u64 = 16;

/// Passes over the whole plan: a bound, not an aim. Each pass but the last has made the plan smaller.
const MAX_PASSES: usize = 50;

/// The smallest plan found that still fails. `plan` itself must fail.
pub fn shrink(plan: &Plan, trial: &mut impl Trial) -> Plan {
    let mut best = plan.clone();
    for _ in 0..MAX_PASSES {
        let before = best.clone();
        fewer_turns(&mut best, trial);
        fewer_nodes(&mut best, trial);
        fewer_faults(&mut best, trial);
        calmer(&mut best, trial);
        smaller(&mut best, trial);
        fewer_faults(&mut best, trial);
        weaker(&mut best, trial);
        earlier(&mut best, trial);
        if best == before || trial.is_over() {
            break;
        }
    }
    best
}

/// Puts the first of `candidates` that still fails in `best`'s place.
fn take(best: &mut Plan, candidates: Vec<Plan>, trial: &mut impl Trial) -> bool {
    let with_dice: Vec<Plan> = candidates
        .into_iter()
        .filter(|candidate| candidate != best)
        .flat_map(|candidate| (0..DICE).map(move |more| Plan { dice: candidate.dice.wrapping_add(more), ..candidate.clone() }))
        .collect();
    if with_dice.is_empty() || trial.is_over() {
        return false;
    }
    let Some(index) = trial.first_that_fails(&with_dice) else { return false };
    *best = with_dice[index].clone();
    trial.found(best);
    true
}

fn fewer_faults(best: &mut Plan, trial: &mut impl Trial) {
    fewer(best, trial, |plan| &mut plan.faults);
}

/// What an exploration found needs its turns of the dice only if no dice of its own do.
fn fewer_turns(best: &mut Plan, trial: &mut impl Trial) {
    fewer(best, trial, |plan| &mut plan.turns);
}

/// A node at a time: there are few, and some of them are needed.
fn fewer_nodes(best: &mut Plan, trial: &mut impl Trial) {
    let extras = trial.extras();
    loop {
        let others = extras.nodes.iter().filter(|node| best.has(node)).map(|node| best.without_node(node));
        let candidates = others.filter(|plan| extras.allow(&plan.absent).is_ok()).collect();
        if !take(best, candidates, trial) {
            return;
        }
    }
}

/// Delta debugging of a list of the plan.
fn fewer<T>(best: &mut Plan, trial: &mut impl Trial, list: fn(&mut Plan) -> &mut Vec<T>) {
    let mut size = list(best).len();
    while size > 0 {
        let count = list(best).len();
        let candidates = (0..count.div_ceil(size))
            .map(|chunk| {
                let mut plan = best.clone();
                list(&mut plan).drain(chunk * size..(chunk * size + size).min(count));
                plan
            })
            .collect();
        if !take(best, candidates, trial) {
            size /= 2;
        }
        size = size.min(list(best).len());
    }
}

fn calmer(best: &mut Plan, trial: &mut impl Trial) {
    // All at once, if that works; else one after the other.
    let calm = Plan { climate: best.climate.calm(), ..best.clone() };
    if !take(best, vec![calm], trial) {
        let mut part = 0;
        while let Some(climate) = best.climate.without(part) {
            take(best, vec![Plan { climate, ..best.clone() }], trial);
            part += 1;
        }
    }
}

fn smaller(best: &mut Plan, trial: &mut impl Trial) {
    for name in best.dials.keys().cloned().collect::<Vec<_>>() {
        // To the least at once; else half-way there, again and again.
        loop {
            let Dial { is, least } = best.dials[&name];
            if is <= least {
                break;
            }
            let part = |of_four: u64| least + (is - least) / 4 * of_four;
            // The last steps one by one: sizes are small where each of them matters.
            let sizes = [least, part(1), part(2), part(3), if is < SMALL { is - 1 } else { is }];
            let mut candidates: Vec<Plan> = Vec::new();
            for size in sizes {
                let mut plan = best.clone();
                plan.dials.insert(name.clone(), Dial { is: size, least });
                if !candidates.contains(&plan) {
                    candidates.push(plan);
                }
            }
            if !take(best, candidates, trial) {
                break;
            }
        }
    }
}

fn weaker(best: &mut Plan, trial: &mut impl Trial) {
    for index in 0..best.faults.len() {
        loop {
            let forms = best.faults[index].fault.weaker();
            let candidates = forms.into_iter().map(|fault| with(best, index, |timed| timed.fault = fault.clone())).collect();
            if !take(best, candidates, trial) {
                break;
            }
        }
    }
}

fn earlier(best: &mut Plan, trial: &mut impl Trial) {
    for index in 0..best.faults.len() {
        let at_ms = best.faults[index].at_ms;
        // Rounder, not only earlier: a plan is read by people.
        let times = [0, crate::plan::round(at_ms / 2), at_ms / 100 * 100, at_ms / 10 * 10];
        let mut times: Vec<u64> = times.into_iter().filter(|time| *time < at_ms).collect();
        times.dedup();
        let candidates = times.into_iter().map(|time| with(best, index, |timed| timed.at_ms = time)).collect();
        take(best, candidates, trial);
    }
    // The order of the list is the order of the times, for each call that gives faults.
    let mut sorted = best.clone();
    sorted.faults.sort_by_key(|timed| (timed.call, timed.at_ms));
    take(best, vec![sorted], trial);
}

fn with(plan: &Plan, index: usize, change: impl FnOnce(&mut Timed)) -> Plan {
    let mut plan = plan.clone();
    change(&mut plan.faults[index]);
    plan
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plan::{Draw, Fault, Offer, Turn};

    /// Fails when a crash of `a` comes before a cut that lasts for at least 70 ms, with 4 files or more.
    struct Needs {
        tried: usize,
        found: usize,
    }

    impl Needs {
        fn fails(plan: &Plan) -> bool {
            let crash = plan.faults.iter().find(|timed| matches!(&timed.fault, Fault::Crash { node, .. } if node == "a"));
            crash.is_some_and(|crash| {
                let after = |timed: &&Timed| timed.at_ms >= crash.at_ms;
                let long = |timed: &Timed| matches!(timed.fault, Fault::Cut { ms, .. } if ms >= 70);
                plan.faults.iter().filter(after).any(long)
            }) && plan.dial("files") >= 4
        }
    }

    impl Trial for Needs {
        fn first_that_fails(&mut self, plans: &[Plan]) -> Option<usize> {
            self.tried += plans.len();
            plans.iter().position(Needs::fails)
        }
        fn is_over(&self) -> bool {
            false
        }
        fn found(&mut self, plan: &Plan) {
            assert!(Needs::fails(plan));
            self.found += 1;
        }
    }

    fn large(seed: u64) -> Plan {
        let mut draw = Draw::new(seed);
        draw.dial("files", 1, (150, 300));
        let node = |n: u64| ["a", "b"][n as usize].to_string();
        draw.swarm(
            500,
            &[
                Offer::new(100, 9, |r| Fault::Crash {
                    node: node(r.below(2)),
                    down_ms: Some(r.between(1, 900)),
                    lose_disk: true,
                }),
                Offer::new(100, 9, |r| Fault::Cut { from: node(0), to: node(1), one_way: false, ms: r.between(1, 900) }),
                Offer::new(100, 9, |r| Fault::Pause { node: node(r.below(2)), ms: r.between(1, 900) }),
            ],
        );
        draw.finish()
    }

    #[test]
    fn what_remains_is_what_the_failure_needs() {
        let mut shrunk = 0;
        for plan in (0..40).map(large).filter(Needs::fails) {
            let mut trial = Needs { tried: 0, found: 0 };
            let small = shrink(&plan, &mut trial);
            assert!(Needs::fails(&small), "{small}");
            assert_eq!(small.faults.len(), 2, "{small}");
            assert_eq!((small.climate.hazards(), small.dial("files")), (0, 4), "{small}");
            assert!(small.faults[1].fault.lasts_ms().is_some_and(|ms| (70..140).contains(&ms)), "{small}");
            assert!(trial.found > 0 && trial.tried < 2_000, "{} tries", trial.tried);
            shrunk += 1;
        }
        assert!(shrunk > 10, "only {shrunk} plans of 40 fail");
    }

    #[test]
    fn a_failure_is_the_same_when_its_promise_is_whatever_was_seen() {
        let broken = |promise: &str, seen: &str| json!({ "kind": "broken", "promise": promise, "seen": seen });
        let aim = Aim::of(&broken("counts once", "51 (at 4.027100 s on bank#1, src/lib.rs:30)"));
        assert!(aim.is_met_by(&broken("counts once", "52 (at 1.000000 s on bank#1, src/lib.rs:30)")));
        assert!(!aim.is_met_by(&broken("ends", "51 (at 4.027100 s on bank#1, src/lib.rs:30)")) && !aim.is_met_by(&Value::Null));
        let crashed = |seen: &str, place: Value| json!({ "kind": "crashed", "seen": seen, "place": place });
        let aim = Aim::of(&crashed("left: 51", json!("tests/bank.rs:40")));
        assert!(aim.is_met_by(&crashed("left: 52", json!("tests/bank.rs:40"))));
        assert!(!aim.is_met_by(&crashed("left: 51", json!("tests/bank.rs:44"))));
        assert!(!aim.is_met_by(&json!({ "kind": "stuck", "seen": "left: 51", "place": "tests/bank.rs:40" })));
        // As it was saved by a program that did not know the place.
        assert!(Aim::of(&crashed("left: 51", Value::Null)).is_met_by(&crashed("x", json!("tests/bank.rs:40"))));
        assert_eq!(words(&broken("counts once", "51")).as_deref(), Some("counts once: 51"));
        assert_eq!((words(&crashed("51", Value::Null)).as_deref(), words(&Value::Null)), (Some("51"), None));
    }

    #[test]
    fn turns_of_the_dice_go_but_for_those_that_are_needed() {
        let turn = |dice| Turn { at_us: dice * 1_000, dice };
        struct Needs(Vec<Turn>);
        impl Trial for Needs {
            fn first_that_fails(&mut self, plans: &[Plan]) -> Option<usize> {
                plans.iter().position(|plan| self.0.iter().all(|turn| plan.turns.contains(turn)))
            }
            fn is_over(&self) -> bool {
                false
            }
            fn found(&mut self, _: &Plan) {}
        }
        let plan = Plan { turns: (1..=8).map(turn).collect(), ..large(3) };
        for needed in [vec![], vec![turn(3)], vec![turn(1), turn(8)]] {
            assert_eq!(shrink(&plan, &mut Needs(needed.clone())).turns, needed);
        }
    }

    #[test]
    fn a_node_that_is_not_needed_is_left_out_with_its_faults_and_one_that_is_needed_stays() {
        /// Fails when `a` crashes and has at least one of the others to itself.
        struct Cluster(Extras);
        impl Trial for Cluster {
            fn first_that_fails(&mut self, plans: &[Plan]) -> Option<usize> {
                plans.iter().position(|plan| {
                    assert!(plan.faults.iter().flat_map(|timed| timed.fault.nodes()).all(|node| plan.has(node)), "{plan}");
                    let crash = |timed: &Timed| matches!(&timed.fault, Fault::Crash { node, .. } if node == "a");
                    plan.faults.iter().any(crash) && (plan.has("b") || plan.has("c"))
                })
            }
            fn extras(&self) -> Extras {
                self.0
            }
            fn is_over(&self) -> bool {
                false
            }
            fn found(&mut self, _: &Plan) {}
        }
        let swizzle = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut plan = large(3);
        plan.faults
            .insert(0, Timed { at_ms: 1, call: 0, fault: Fault::Crash { node: "a".into(), down_ms: None, lose_disk: false } });
        let all = swizzle(&["a", "b", "c"]);
        plan.faults.push(Timed { at_ms: 9, call: 0, fault: Fault::Swizzle { nodes: all.clone(), back: all, ms: 100 } });
        for (nodes, least, left_out) in
            [(&["a", "b", "c"][..], 1, &["b"][..]), (&["a", "c"], 1, &["c"]), (&["a", "b", "c"], 3, &[]), (&[], 0, &[])]
        {
            let small = shrink(&plan, &mut Cluster(Extras { nodes, least }));
            assert_eq!(small.absent, left_out, "{small}");
            assert_eq!(small.faults.len(), 1, "{small}");
        }
        let without_b = plan.without_node("b");
        let last = &without_b.faults.last().unwrap().fault;
        assert!(matches!(last, Fault::Swizzle { nodes, back, .. } if nodes == back && *nodes == swizzle(&["a", "c"])), "{last}");
    }

    #[test]
    fn a_plan_that_needs_everything_stays_as_it_is() {
        struct Only(Plan);
        impl Trial for Only {
            fn first_that_fails(&mut self, plans: &[Plan]) -> Option<usize> {
                plans.iter().position(|plan| *plan == self.0)
            }
            fn is_over(&self) -> bool {
                false
            }
            fn found(&mut self, _: &Plan) {}
        }
        let plan = large(3);
        assert_eq!(shrink(&plan, &mut Only(plan.clone())), plan);
    }
}
