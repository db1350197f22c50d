//! What a service would do if it were one copy that does one thing after the other.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::marker::PhantomData;

/// A service, done one operation after the other.
pub trait Model {
    /// All that it remembers, within one part.
    type State: Clone + Ord;
    /// What it can be asked.
    type Op: Debug;
    /// What it answers.
    type Ret: Debug + PartialEq;
    /// Operations on different parts have nothing to do with each other, and are checked apart, which is much quicker.
    type Part: Ord + Debug;

    /// How each part begins.
    fn start(&self) -> Self::State;

    /// Does one operation: what is remembered then, and the answer.
    fn step(&self, state: &Self::State, op: &Self::Op) -> (Self::State, Self::Ret);

    /// What an operation is about.
    fn part(&self, op: &Self::Op) -> Self::Part;
}

/// What a place that holds one value can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access<V> {
    /// What does it hold?
    Read,
    /// It holds this from now on.
    Write(V),
    /// It holds the second from now on if it holds the first now.
    Swap(V, V),
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched<V> {
    /// To a read.
    Value(V),
    /// To a write.
    Done,
    /// To a swap: whether it was one.
    Swapped(bool),
}

fn access<V: Clone + PartialEq>(held: &V, op: &Access<V>) -> (V, Fetched<V>) {
    match op {
        Access::Read => (held.clone(), Fetched::Value(held.clone())),
        Access::Write(new) => (new.clone(), Fetched::Done),
        Access::Swap(expected, new) if held == expected => (new.clone(), Fetched::Swapped(true)),
        Access::Swap(..) => (held.clone(), Fetched::Swapped(false)),
    }
}

/// One place that holds one value; it begins with this one.
#[derive(Clone, Debug)]
pub struct Register<V>(pub V);

impl<V: Clone + Ord + Debug> Model for Register<V> {
    type State = V;
    type Op = Access<V>;
    type Ret = Fetched<V>;
    type Part = ();

    fn start(&self) -> V {
        self.0.clone()
    }

    fn step(&self, state: &V, op: &Access<V>) -> (V, Fetched<V>) {
        access(state, op)
    }

    fn part(&self, _: &Access<V>) {}
}

/// What is asked of the place with this key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct At<K, V>(pub K, pub Access<V>);

/// Many places, each with a key; each begins with `None`. To remove a value is to write `None`.
#[derive(Clone, Debug, Default)]
pub struct KeyValue<K, V>(PhantomData<(K, V)>);

impl<K, V> KeyValue<K, V> {
    /// All empty.
    pub fn new() -> KeyValue<K, V> {
        KeyValue(PhantomData)
    }
}

impl<K: Clone + Ord + Debug, V: Clone + Ord + Debug> Model for KeyValue<K, V> {
    type State = Option<V>;
    type Op = At<K, Option<V>>;
    type Ret = Fetched<Option<V>>;
    type Part = K;

    fn start(&self) -> Option<V> {
        None
    }

    fn step(&self, state: &Option<V>, At(_, op): &Self::Op) -> (Option<V>, Self::Ret) {
        access(state, op)
    }

    fn part(&self, At(key, _): &Self::Op) -> K {
        key.clone()
    }
}

/// What a queue can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueOp<V> {
    /// Puts a value at the end.
    Enqueue(V),
    /// Takes the first value.
    Dequeue,
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QueueAnswer<V> {
    /// To an enqueue.
    Done,
    /// To a dequeue: the value, or `None` from an empty queue.
    Item(Option<V>),
}

/// First in, first out; it begins empty.
#[derive(Clone, Debug, Default)]
pub struct Queue<V>(PhantomData<V>);

impl<V> Queue<V> {
    /// Empty.
    pub fn new() -> Queue<V> {
        Queue(PhantomData)
    }
}

impl<V: Clone + Ord + Debug> Model for Queue<V> {
    type State = VecDeque<V>;
    type Op = QueueOp<V>;
    type Ret = QueueAnswer<V>;
    type Part = ();

    fn start(&self) -> VecDeque<V> {
        VecDeque::new()
    }

    fn step(&self, state: &VecDeque<V>, op: &QueueOp<V>) -> (VecDeque<V>, QueueAnswer<V>) {
        let mut state = state.clone();
        let answer = match op {
            QueueOp::Enqueue(value) => {
                state.push_back(value.clone());
                QueueAnswer::Done
            }
            QueueOp::Dequeue => QueueAnswer::Item(state.pop_front()),
        };
        (state, answer)
    }

    fn part(&self, _: &QueueOp<V>) {}
}
