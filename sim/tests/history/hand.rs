//! Histories written by hand: one operation a line, `client operation call..answer = answer`; `..?` is an outcome that nobody knows.

use std::time::Duration;

use playhouse_sim::history::{
    Access, Answer, At, Fetched, History, KeyValue, Model, Queue, QueueAnswer, QueueOp, Register, Violation, check, check_within,
};

/// A service that can be written down.
trait Words: Model {
    fn op(words: &str) -> Self::Op;
    fn answer(word: &str) -> Self::Ret;
}

fn number(word: &str) -> u32 {
    word.parse().unwrap_or_else(|_| panic!("{word} is no number"))
}

impl Words for Register<u32> {
    fn op(words: &str) -> Access<u32> {
        match *words.split(' ').collect::<Vec<_>>() {
            ["read"] => Access::Read,
            ["write", value] => Access::Write(number(value)),
            ["swap", expected, new] => Access::Swap(number(expected), number(new)),
            _ => panic!("{words}"),
        }
    }
    fn answer(word: &str) -> Fetched<u32> {
        match word {
            "ok" => Fetched::Done,
            "yes" | "no" => Fetched::Swapped(word == "yes"),
            value => Fetched::Value(number(value)),
        }
    }
}

impl Words for KeyValue<char, u32> {
    fn op(words: &str) -> At<char, Option<u32>> {
        let (key, words) = words.split_once(' ').unwrap();
        let op = match *words.split(' ').collect::<Vec<_>>() {
            ["get"] => Access::Read,
            ["put", value] => Access::Write(Some(number(value))),
            ["delete"] => Access::Write(None),
            _ => panic!("{words}"),
        };
        At(key.chars().next().unwrap(), op)
    }
    fn answer(word: &str) -> Fetched<Option<u32>> {
        match word {
            "ok" => Fetched::Done,
            "none" => Fetched::Value(None),
            value => Fetched::Value(Some(number(value))),
        }
    }
}

impl Words for Queue<u32> {
    fn op(words: &str) -> QueueOp<u32> {
        words.strip_prefix("put ").map_or(QueueOp::Dequeue, |value| QueueOp::Enqueue(number(value)))
    }
    fn answer(word: &str) -> QueueAnswer<u32> {
        match word {
            "ok" => QueueAnswer::Done,
            "none" => QueueAnswer::Item(None),
            value => QueueAnswer::Item(Some(number(value))),
        }
    }
}

fn history<M: Words>(text: &str) -> History<M::Op, M::Ret> {
    let mut history = History::new();
    let mut events = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (head, answer) = line.split_once(" = ").unwrap_or((line, ""));
        let (head, times) = head.rsplit_once(' ').unwrap();
        let (client, op) = head.split_once(' ').unwrap();
        let (from, to) = times.split_once("..").unwrap();
        events.push((number(from), client, op, None));
        if to != "?" {
            events.push((number(to), client, op, Some((number(from), answer))));
        }
    }
    events.sort_by_key(|(at, ..)| *at);
    assert!(events.windows(2).all(|two| two[0].0 < two[1].0), "two events at one moment: {text}");
    let mut calls = std::collections::BTreeMap::new();
    for (at, client, op, answered) in events {
        let time = Duration::from_millis(u64::from(at));
        match answered {
            None => drop(calls.insert(at, history.call(client, time, M::op(op)))),
            Some((from, answer)) => history.answer(calls[&from], time, M::answer(answer)),
        }
    }
    history
}

#[track_caller]
fn right<M: Words>(model: &M, text: &str) {
    assert_eq!(check(model, &history::<M>(text)), Answer::Linearizable, "{text}");
}

#[track_caller]
fn wrong<M: Words>(model: &M, text: &str) -> Violation {
    match check(model, &history::<M>(text)) {
        Answer::Unlinearizable(violation) => violation,
        other => panic!("{other:?}: {text}"),
    }
}

const REGISTER: Register<u32> = Register(0);

#[test]
fn nothing_and_one_after_the_other() {
    right(&REGISTER, "");
    right(&REGISTER, "a read 1..2 = 0 \n a write 7 3..4 = ok \n b read 5..6 = 7");
    wrong(&REGISTER, "a read 1..2 = 1");
}

#[test]
fn a_read_beside_a_write_sees_the_old_or_the_new() {
    for seen in ["0", "7"] {
        right(&REGISTER, &format!("a write 7 1..10 = ok \n b read 2..3 = {seen}"));
    }
    wrong(&REGISTER, "a write 7 1..10 = ok \n b read 2..3 = 8");
    // Once somebody has seen the new one, nobody sees the old one later.
    right(&REGISTER, "a write 7 1..10 = ok \n b read 2..3 = 0 \n c read 4..5 = 7");
    wrong(&REGISTER, "a write 7 1..10 = ok \n b read 2..3 = 7 \n c read 4..5 = 0");
    // Beside each other they may.
    right(&REGISTER, "a write 7 1..10 = ok \n b read 2..5 = 7 \n c read 4..6 = 0");
}

#[test]
fn a_stale_read_is_named_with_what_it_could_have_been() {
    let why = wrong(
        &REGISTER,
        "a write 1 1..2 = ok
         a write 2 3..4 = ok
         b read 5..6 = 2
         b read 7..8 = 1
         a write 3 9..10 = ok
         c read 11..12 = 3",
    );
    assert_eq!(why.explained, 3);
    assert!(why.culprit.starts_with("b Read ") && why.culprit.ends_with("0.007000 .. 0.008000 s  -> Value(1)"), "{why}");
    assert_eq!(why.instead.as_deref(), Some("Value(2)"));
    assert_eq!(why.order.last().map(String::as_str), Some("b Read"));
    assert_eq!(why.around.len(), 3, "what came after has no part in it: {why}");
    let text = why.to_string();
    assert!(text.starts_with("not linearizable: the first 3 answers can be explained, but not with the next one:\n"), "{text}");
    assert!(text.contains("no order gives this; Value(2) would be possible"), "{text}");
}

#[test]
fn a_lost_write_is_found() {
    wrong(&REGISTER, "a write 1 1..2 = ok \n b read 3..4 = 0");
    wrong(&REGISTER, "a write 1 1..4 = ok \n b write 2 2..3 = ok \n c read 5..6 = 0");
    for last in ["1", "2"] {
        right(&REGISTER, &format!("a write 1 1..4 = ok \n b write 2 2..3 = ok \n c read 5..6 = {last}"));
    }
    // Both orders of two writes, but not both at once.
    wrong(&REGISTER, "a write 1 1..4 = ok \n b write 2 2..3 = ok \n c read 5..6 = 1 \n d read 7..8 = 2");
}

#[test]
fn only_one_of_two_swaps_succeeds() {
    right(&REGISTER, "a swap 0 1 1..4 = yes \n b swap 0 2 2..3 = no \n c read 5..6 = 1");
    wrong(&REGISTER, "a swap 0 1 1..4 = yes \n b swap 0 2 2..3 = yes");
    wrong(&REGISTER, "a swap 0 1 1..4 = no \n b read 5..6 = 0");
    right(&REGISTER, "a swap 0 1 1..4 = yes \n b swap 1 0 2..5 = yes \n c swap 0 1 3..6 = yes");
}

#[test]
fn an_unknown_outcome_may_have_happened_or_not() {
    for seen in ["0", "1"] {
        right(&REGISTER, &format!("a write 1 1..? \n b read 2..3 = {seen}"));
    }
    // Even late, but only once, and not before it was asked for.
    right(&REGISTER, "a write 1 1..? \n b read 2..3 = 0 \n b read 4..5 = 1");
    wrong(&REGISTER, "a write 1 1..? \n b read 2..3 = 1 \n b read 4..5 = 0");
    wrong(&REGISTER, "a write 1 1..? \n b read 2..3 = 1 \n b write 2 4..5 = ok \n b read 6..7 = 2 \n b read 8..9 = 1");
    right(&REGISTER, "a write 1 1..? \n b write 2 4..5 = ok \n b read 6..7 = 2 \n b read 8..9 = 1");
    wrong(&REGISTER, "b read 1..2 = 1 \n a write 1 3..?");
    // Many of them, none of which matters.
    let many: String = (1..60).map(|n| format!("x write 9 {n}..? \n")).collect();
    right(&REGISTER, &format!("{many} a write 1 101..102 = ok \n b read 103..104 = 1"));
}

#[test]
fn what_was_refused_has_not_happened() {
    let mut history = history::<Register<u32>>("a write 1 1..2 = ok");
    let call = history.call("b", Duration::from_millis(3), Access::Write(2));
    history.refused(call);
    let call = history.call("c", Duration::from_millis(4), Access::Read);
    history.answer(call, Duration::from_millis(5), Fetched::Value(2));
    assert!(matches!(check(&REGISTER, &history), Answer::Unlinearizable(_)));
    assert_eq!((history.len(), history.is_empty()), (3, false));
}

#[test]
fn keys_are_apart() {
    let model = KeyValue::<char, u32>::new();
    right(
        &model,
        "a x put 1 1..4 = ok \n b y get 2..3 = none \n b x get 5..6 = 1 \n b x delete 7..8 = ok \n a x get 9..10 = none",
    );
    let why = wrong(&model, "a x put 1 1..2 = ok \n a y put 2 3..4 = ok \n b x get 5..6 = 1 \n b y get 7..8 = none");
    assert_eq!((why.part.as_str(), why.explained), ("'y'", 1));
    assert!(why.around.iter().all(|line| !line.contains("'x'")), "{why}");
    assert!(why.to_string().contains("the first 1 answers of 'y'"), "{why}");
}

#[test]
fn a_queue_gives_each_item_once_and_in_order() {
    let model = Queue::<u32>::new();
    right(&model, "a put 1 1..2 = ok \n a put 2 3..4 = ok \n b take 5..6 = 1 \n c take 7..8 = 2 \n c take 9..10 = none");
    wrong(&model, "a put 1 1..2 = ok \n b take 3..6 = 1 \n c take 4..5 = 1");
    wrong(&model, "a put 1 1..2 = ok \n a put 2 3..4 = ok \n b take 5..6 = 2");
    wrong(&model, "a put 1 1..2 = ok \n b take 3..4 = none");
    wrong(&model, "b take 1..2 = 1 \n a put 1 3..4 = ok");
    // Beside each other the two may have been put in either order.
    right(&model, "a put 1 1..4 = ok \n b put 2 2..3 = ok \n c take 5..6 = 2 \n c take 7..8 = 1");
    // A take that nobody heard of has taken the first, or has not.
    for next in ["1", "2"] {
        right(&model, &format!("a put 1 1..2 = ok \n a put 2 3..4 = ok \n b take 5..? \n c take 6..7 = {next}"));
    }
}

#[test]
fn a_search_that_takes_too_long_says_so() {
    // Writes beside each other, all of which matter: each order must be tried to find that none fits.
    let writes: String = (1..=12).map(|n| format!("a write {n} {n}..{} = ok \n", 100 + n)).collect();
    let text = format!("{writes} b read 200..201 = 99");
    let history = history::<Register<u32>>(&text);
    assert_eq!(check_within(&REGISTER, &history, 100), Answer::Unknown { part: "()".into(), operations: 13 });
    assert!(matches!(check(&REGISTER, &history), Answer::Unlinearizable(_)));
}

#[test]
#[should_panic(expected = "has ended already")]
fn an_operation_is_answered_once() {
    let mut history = History::new();
    let call = history.call("a", Duration::ZERO, Access::<u32>::Read);
    history.answer(call, Duration::ZERO, Fetched::Value(0));
    history.answer(call, Duration::ZERO, Fetched::Value(0));
}
