//! Turns of the dice: continuations share what was before, and nothing after.
#![cfg(madsim)]
#![allow(missing_docs)]

use std::io::Write;
use std::process::{Command, Stdio};

use playhouse_sim::plan::{Plan, Turn};
use playhouse_sim::scenario::find;

/// The lines of the ledger, of a process of its own.
fn ledger(turns: &[Turn]) -> Vec<String> {
    let plan = Plan { turns: turns.to_vec(), ..(find("brief").unwrap().draw)(3) };
    let mut command = Command::new(env!("CARGO_BIN_EXE_playhouse-sim"));
    command.args(["one", "brief", "--seed", "3", "--plan-from-stdin", "--ledger"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&serde_json::to_vec(&plan).unwrap()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    // The last line is the report, which has wall times in it.
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().rev().skip(1).map(str::to_string).collect::<Vec<_>>().into_iter().rev().collect()
}

#[test]
fn continuations_share_the_ledger_up_to_the_turn_and_differ_after_it() {
    let turn = |dice| Turn { at_us: 2_000_000, dice };
    let [plain, one, same, other] = [&[][..], &[turn(1)], &[turn(1)], &[turn(2)]].map(ledger);
    let at = one.iter().position(|line| line.contains(" turn ")).expect("the dice turn");
    assert!(at > 100 && one.len() > at + 100, "it is in the midst: {at} of {}", one.len());
    assert_eq!(one, same, "a continuation is one history");
    let [plain_at, other_at] = [&plain, &other].map(|lines| lines.iter().zip(&one).position(|(a, b)| a != b));
    assert_eq!((plain_at, other_at), (Some(at), Some(at)), "all is shared up to the turn, where they part");
    // Not only the lines that say so: what follows has other times.
    let times = |lines: &[String]| -> Vec<String> {
        let after = lines[at + 1..].iter().take(50);
        after.map(|line| line.split_whitespace().nth(1).unwrap().to_string()).collect()
    };
    assert!(times(&one) != times(&other) && times(&one) != times(&plain));
}
