//! Exploration: which run comes next, when those before have shown how far they came.
//!
//! Plain seeds draw everything anew, so what needs two rare things one after the other needs the luck of both at once. Here a run goes on from where
//! another one first reached something rare: with the same dice up to that moment, and others from then on ([`Turn`]). What the rarest state
//! is, the runs themselves say, by their `sometimes!`. The idea is that of fuzzers that keep inputs which covered something new, and spend most on
//! those whose path few others take (Böhme, Pham, Roychoudhury: "Coverage-based Greybox Fuzzing as Markov Chain", CCS 2016).
//!
//! Nothing here runs anything: [`Explorer::next`] says what to run, [`Explorer::saw`] is told what came of it.

use std::collections::BTreeMap;

use crate::plan::Turn;

/// So many plain seeds come first, so that something is known of what is rare.
pub const FIRST: u64 = 10;

/// After them, one run in so many is a plain seed still: continuations alone would never leave what the first seeds have seen.
pub const PLAIN_EVERY: u64 = 3;

/// The most places from which runs go on, for each thing that was reached.
pub const PLACES_MAX: usize = 4;

/// The most things that are told apart.
pub const THINGS_MAX: usize = 256;

/// The most turns of one run: a continuation of a continuation, and so on.
pub const DEPTH_MAX: usize = 8;

const _: () = assert!(PLAIN_EVERY > 1, "some runs are continuations");

/// A run: a seed, and how its dice turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// What draws its plan.
    pub seed: u64,
    /// In the order of their times; none: a plain seed.
    pub turns: Vec<Turn>,
}

/// What a run reached, each with its virtual time in microseconds.
pub type Reached = BTreeMap<String, u64>;

/// A way up to the moment at which something was first reached.
#[derive(Clone, Debug)]
struct Place {
    way: Way,
    at_us: u64,
    /// How often a run went on from here.
    left: u64,
}

#[derive(Clone, Debug, Default)]
struct Thing {
    /// How many runs reached it, continuations included: what is often continued is rare no more, and another thing has its turn.
    runs: u64,
    /// How many of them were plain seeds.
    plain: u64,
    places: Vec<Place>,
}

/// Chooses what is run. The same seeds and the same answers give the same choices.
#[derive(Clone, Debug, Default)]
pub struct Explorer {
    /// The next plain seed.
    seed: u64,
    asked: u64,
    things: BTreeMap<String, Thing>,
}

impl Explorer {
    /// One whose plain seeds are this one and those after it.
    pub fn new(first_seed: u64) -> Explorer {
        Explorer { seed: first_seed, ..Explorer::default() }
    }

    /// What to run next. It may be asked several times before [`Explorer::saw`] is told of the first.
    #[expect(clippy::should_implement_trait, reason = "it has no end, and is no iterator: it learns between two calls")]
    pub fn next(&mut self) -> Way {
        self.asked += 1;
        let continues = self.asked > FIRST && !self.asked.is_multiple_of(PLAIN_EVERY);
        let rarest = self.things.values_mut().filter(|thing| !thing.places.is_empty()).min_by_key(|thing| thing.runs);
        if let Some(place) = rarest.filter(|_| continues).and_then(|thing| thing.places.iter_mut().min_by_key(|place| place.left))
        {
            place.left += 1;
            let mut way = place.way.clone();
            way.turns.push(Turn { at_us: place.at_us + 1, dice: self.asked });
            return way;
        }
        let seed = self.seed;
        self.seed += 1;
        Way { seed, turns: Vec::new() }
    }

    /// A run has ended, and reached this.
    pub fn saw(&mut self, way: &Way, reached: &Reached) {
        let turned = way.turns.last().map_or(0, |turn| turn.at_us);
        for (what, at_us) in reached {
            if !self.things.contains_key(what) && self.things.len() >= THINGS_MAX {
                continue;
            }
            let thing = self.things.entry(what.clone()).or_default();
            thing.runs += 1;
            thing.plain += u64::from(way.turns.is_empty());
            // What was reached before the turn is a place of the run before, and not a new one.
            if *at_us < turned || way.turns.len() >= DEPTH_MAX {
                continue;
            }
            let place = Place { way: way.clone(), at_us: *at_us, left: 0 };
            if thing.places.len() < PLACES_MAX {
                thing.places.push(place);
            } else if let Some(worn) = thing.places.iter_mut().max_by_key(|place| place.left).filter(|worn| worn.left > 1) {
                *worn = place;
            }
        }
    }

    /// What continuations reached and plain seeds did not.
    pub fn beyond(&self) -> Vec<&str> {
        self.things.iter().filter(|(_, thing)| thing.plain == 0).map(|(what, _)| what.as_str()).collect()
    }

    /// For each thing, how many plain seeds reached it, and how many runs.
    pub fn counts(&self) -> impl Iterator<Item = (&str, u64, u64)> {
        self.things.iter().map(|(what, thing)| (what.as_str(), thing.plain, thing.runs))
    }
}

#[cfg(test)]
mod tests {
    use playhouse_rt::Random;

    use super::*;

    /// A world with a staircase: a millisecond passes, and with one chance in eight another step is reached; a run has 8 milliseconds. All from
    /// the dice that hold at that time.
    fn climb(way: &Way, steps: usize) -> Reached {
        let mut reached = Reached::new();
        for ms in 0..8 {
            let at_us = ms * 1_000;
            let dice = way.turns.iter().rev().find(|turn| turn.at_us <= at_us).map_or(way.seed, |turn| turn.dice << 32);
            if Random::new(dice ^ ms << 48, "climb").chance(0.125) && reached.len() < steps {
                reached.insert(format!("step {}", reached.len() + 1), at_us);
            }
        }
        reached
    }

    fn explored(steps: usize, most: u64) -> Option<u64> {
        let mut explorer = Explorer::new(0);
        (1..=most).find(|_| {
            let way = explorer.next();
            let reached = climb(&way, steps);
            explorer.saw(&way, &reached);
            reached.len() == steps
        })
    }

    #[test]
    fn steps_one_after_the_other_are_found_by_going_on_from_the_last_one() {
        const STEPS: usize = 5;
        let plain = (1..=20_000).find(|seed| climb(&Way { seed: *seed, turns: Vec::new() }, STEPS).len() == STEPS);
        let explored = explored(STEPS, 20_000);
        let (plain, explored) = (plain.expect("luck"), explored.expect("it is found"));
        assert!(explored * 3 < plain, "plain seeds need {plain}, exploration {explored}");
    }

    #[test]
    fn a_run_goes_on_from_the_rarest_and_only_after_its_moment() {
        let mut explorer = Explorer::new(7);
        for n in 0..FIRST {
            let way = explorer.next();
            assert_eq!((way.seed, way.turns.len()), (7 + n, 0), "plain seeds come first");
            let rare = (n == 3).then(|| ("rare".to_string(), 2_500));
            explorer.saw(&way, &[("common".to_string(), 9)].into_iter().chain(rare).collect());
        }
        let way = explorer.next();
        assert_eq!((way.seed, way.turns[0].at_us), (10, 2_501));
        // It is told of the same thing, which was before its turn, and of a rarer one behind it.
        let reached: Reached = [("rare".to_string(), 2_500), ("rarer".to_string(), 4_000)].into();
        explorer.saw(&way, &reached);
        assert_eq!(explorer.beyond(), ["rarer"]);
        assert_eq!(explorer.next().turns.len(), 0, "one run in three is a plain seed");
        let way = explorer.next();
        assert_eq!((way.seed, way.turns.len(), way.turns[1].at_us), (10, 2, 4_001));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut explorer = Explorer::new(0);
        for n in 0..5_000 {
            let way = explorer.next();
            assert!(way.turns.len() <= DEPTH_MAX && way.turns.is_sorted(), "{way:?}");
            let after = way.turns.last().map_or(0, |turn| turn.at_us);
            explorer.saw(&way, &[(format!("thing {n}"), after + 5), ("again".to_string(), after + 9)].into());
        }
        assert_eq!(explorer.things.len(), THINGS_MAX);
        assert!(explorer.things.values().all(|thing| thing.places.len() <= PLACES_MAX));
    }
}
