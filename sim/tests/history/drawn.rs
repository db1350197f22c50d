//! Drawn histories: those of a real service are always explained, impossible ones never, and small ones as trying everything says.

use std::time::Duration;

use playhouse_rt::Random;
use playhouse_sim::history::{
    Access, Answer, At, Fetched, History, KeyValue, Model, Queue, QueueAnswer, QueueOp, Register, check,
};

/// An operation as it was drawn: from when to when (`None`: nobody knows), and what came back.
#[derive(Clone, Debug)]
struct Drawn<M: Model> {
    op: M::Op,
    from: u64,
    to: Option<u64>,
    ret: M::Ret,
}

struct Shape {
    operations: u64,
    /// Moments between two operations' effects are 100; a call is as much earlier at most, an answer as much later.
    overlap: u64,
    unknown: f64,
}

/// What a real service would do, one operation after the other, as clients around it may have seen it.
fn execute<M: Model>(model: &M, random: &mut Random, shape: &Shape, mut op: impl FnMut(&mut Random) -> M::Op) -> Vec<Drawn<M>>
where
    M::Part: Clone,
{
    let mut states = std::collections::BTreeMap::new();
    let mut all = Vec::new();
    for n in 0..shape.operations {
        let moment = 1_000_000 + n * 100;
        let op = op(random);
        let state = states.entry(model.part(&op)).or_insert_with(|| model.start());
        let unknown = random.chance(shape.unknown);
        let (next, ret) = model.step(state, &op);
        // Half of those whose outcome nobody knows have not happened.
        if !unknown || random.chance(0.5) {
            *state = next;
        }
        let (from, to) = (moment - random.below(shape.overlap), moment + random.below(shape.overlap));
        all.push(Drawn { op, from, to: (!unknown).then_some(to), ret });
    }
    all
}

fn record<M: Model>(drawn: &[Drawn<M>]) -> History<M::Op, M::Ret>
where
    M::Op: Clone,
    M::Ret: Clone,
{
    // Of one moment calls come first: then the two are beside each other.
    let mut events: Vec<(u64, bool, usize)> = Vec::new();
    for (n, one) in drawn.iter().enumerate() {
        events.push((one.from, false, n));
        events.extend(one.to.map(|to| (to, true, n)));
    }
    events.sort_unstable();
    let mut history = History::new();
    let mut calls = vec![None; drawn.len()];
    for (at, is_answer, n) in events {
        let time = Duration::from_micros(at);
        match (is_answer, calls[n]) {
            (true, Some(call)) => history.answer(call, time, drawn[n].ret.clone()),
            _ => calls[n] = Some(history.call(&format!("c{}", n % 4), time, drawn[n].op.clone())),
        }
    }
    history
}

/// Tries every order of every choice of those whose outcome nobody knows.
fn brute<M: Model>(model: &M, drawn: &[Drawn<M>]) -> bool {
    fn go<M: Model>(model: &M, drawn: &[Drawn<M>], done: u32, state: &M::State) -> bool {
        let left = |n: &usize| done & 1 << n == 0;
        if (0..drawn.len()).filter(left).all(|n| drawn[n].to.is_none()) {
            return true;
        }
        (0..drawn.len()).filter(left).any(|n| {
            // Nobody who has ended before this one's call is left.
            let may = !(0..drawn.len()).filter(left).any(|other| drawn[other].to.is_some_and(|to| to < drawn[n].from));
            let (next, ret) = model.step(state, &drawn[n].op);
            may && (drawn[n].to.is_none() || ret == drawn[n].ret) && go(model, drawn, done | 1 << n, &next)
        })
    }
    go(model, drawn, 0, &model.start())
}

fn access(random: &mut Random, values: u64) -> Access<u64> {
    match random.below(4) {
        0 | 1 => Access::Read,
        2 => Access::Write(1 + random.below(values)),
        _ => Access::Swap(random.below(values + 1), 1 + random.below(values)),
    }
}

fn queue_op(random: &mut Random, values: u64) -> QueueOp<u64> {
    if random.chance(0.5) { QueueOp::Enqueue(1 + random.below(values)) } else { QueueOp::Dequeue }
}

const NEVER: u64 = 999;

#[test]
fn what_a_real_register_did_is_explained_and_a_value_that_never_was_is_not() {
    let model = Register(0);
    for seed in 0..300 {
        let random = &mut Random::new(seed, "register");
        let shape = Shape { operations: random.between(1, 80), overlap: [1, 100, 500][random.below(3) as usize], unknown: 0.05 };
        let mut drawn = execute(&model, random, &shape, |random| access(random, 5));
        assert_eq!(check(&model, &record(&drawn)), Answer::Linearizable, "seed {seed}");
        let reads: Vec<usize> =
            (0..drawn.len()).filter(|n| drawn[*n].to.is_some() && matches!(drawn[*n].ret, Fetched::Value(_))).collect();
        if !reads.is_empty() {
            drawn[reads[random.below(reads.len() as u64) as usize]].ret = Fetched::Value(NEVER);
            let answer = check(&model, &record(&drawn));
            let Answer::Unlinearizable(why) = answer else { panic!("seed {seed}: {answer:?}") };
            assert!(why.culprit.contains("999"), "seed {seed}: {why}");
            assert!(why.instead.is_some(), "seed {seed}: {why}");
        }
    }
}

#[test]
fn what_real_places_did_is_explained_and_a_value_of_another_place_is_not() {
    let model = KeyValue::<u64, u64>::new();
    for seed in 0..100 {
        let random = &mut Random::new(seed, "places");
        let shape = Shape { operations: 400, overlap: 400, unknown: 0.02 };
        let mut drawn = execute(&model, random, &shape, |random| {
            let key = random.below(12);
            // Values tell their key.
            let value = key * 1_000 + random.below(3);
            At(key, if random.chance(0.5) { Access::Read } else { Access::Write(Some(value)) })
        });
        assert_eq!(check(&model, &record(&drawn)), Answer::Linearizable, "seed {seed}");
        let read = (0..drawn.len()).find(|n| drawn[*n].to.is_some() && matches!(drawn[*n].ret, Fetched::Value(_))).unwrap();
        drawn[read].ret = Fetched::Value(Some((drawn[read].op.0 + 1) * 1_000));
        let Answer::Unlinearizable(why) = check(&model, &record(&drawn)) else { panic!("seed {seed}") };
        assert_eq!(why.part, drawn[read].op.0.to_string());
    }
}

#[test]
fn what_a_real_queue_did_is_explained_and_an_item_out_of_nowhere_is_not() {
    let model = Queue::<u64>::new();
    for seed in 0..100 {
        let random = &mut Random::new(seed, "queue");
        let shape = Shape { operations: random.between(1, 20), overlap: [1, 100, 150][random.below(3) as usize], unknown: 0.03 };
        let mut drawn = execute(&model, random, &shape, |random| queue_op(random, 100));
        assert_eq!(check(&model, &record(&drawn)), Answer::Linearizable, "seed {seed}");
        let takes: Vec<usize> =
            (0..drawn.len()).filter(|n| drawn[*n].to.is_some() && matches!(drawn[*n].op, QueueOp::Dequeue)).collect();
        if let Some(take) = takes.last() {
            drawn[*take].ret = QueueAnswer::Item(Some(NEVER));
            assert!(matches!(check(&model, &record(&drawn)), Answer::Unlinearizable(_)), "seed {seed}");
        }
    }
}

/// Compares with trying everything, over histories that are right, nearly right and wrong. Gives how many were right.
fn compare<M: Model>(model: &M, label: &str, op: fn(&mut Random) -> M::Op, spoil: fn(&mut Random, &mut M::Ret)) -> u32
where
    M::Part: Clone,
    M::Op: Clone,
    M::Ret: Clone,
{
    let mut right = 0;
    for seed in 0..3_000 {
        let random = &mut Random::new(seed, label);
        let shape = Shape { operations: random.between(1, 8), overlap: [50, 150, 400][random.below(3) as usize], unknown: 0.15 };
        let mut drawn = execute(model, random, &shape, op);
        for one in &mut drawn {
            if random.chance(0.2) {
                spoil(random, &mut one.ret);
            }
        }
        let expected = brute(model, &drawn);
        let answer = check(model, &record(&drawn));
        assert_eq!(answer == Answer::Linearizable, expected, "{label} seed {seed}: {answer:?}");
        assert!(!matches!(answer, Answer::Unknown { .. }), "{label} seed {seed}");
        if let Answer::Unlinearizable(why) = answer {
            shortest(model, &drawn, why.explained, &format!("{label} seed {seed}: {why}"));
        }
        right += u32::from(expected);
    }
    right
}

/// The first `explained` answers can be explained, and not one more.
fn shortest<M: Model>(model: &M, drawn: &[Drawn<M>], explained: usize, text: &str)
where
    M::Op: Clone,
    M::Ret: Clone,
{
    let mut ends: Vec<(u64, usize)> = (0..drawn.len()).filter_map(|n| Some((drawn[n].to?, n))).collect();
    ends.sort_unstable();
    for (answers, is_right) in [(explained, true), (explained + 1, false)] {
        let mut beginning = Vec::new();
        let last = if answers == 0 { 0 } else { ends[answers - 1].0 };
        for (n, one) in drawn.iter().enumerate() {
            let answered = ends[..answers].iter().any(|(_, end)| *end == n);
            // What was called later would be open, and then it need not have happened.
            if one.from <= last {
                beginning.push(Drawn { to: one.to.filter(|_| answered), ..one.clone_drawn() });
            }
        }
        assert_eq!(brute(model, &beginning), is_right, "{answers} answers: {text}");
    }
}

impl<M: Model> Drawn<M>
where
    M::Op: Clone,
    M::Ret: Clone,
{
    fn clone_drawn(&self) -> Drawn<M> {
        Drawn { op: self.op.clone(), from: self.from, to: self.to, ret: self.ret.clone() }
    }
}

#[test]
fn small_histories_are_judged_as_trying_everything_does() {
    let register = compare(
        &Register(0),
        "small register",
        |random| access(random, 2),
        |random, ret| match ret {
            Fetched::Value(value) => *value = random.below(3),
            Fetched::Swapped(swapped) => *swapped = !*swapped,
            Fetched::Done => {}
        },
    );
    let queue = compare(
        &Queue::new(),
        "small queue",
        |random| queue_op(random, 2),
        |random, ret| {
            if let QueueAnswer::Item(item) = ret {
                *item = Some(random.below(3)).filter(|item| *item > 0);
            }
        },
    );
    // Neither all right nor all wrong, or the comparison says little.
    assert!((800..2_700).contains(&register) && (800..2_700).contains(&queue), "{register} and {queue} of 3000 were right");
}
