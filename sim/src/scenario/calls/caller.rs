//! Who calls, and what.

use std::cell::Cell;
use std::time::Duration;

use playhouse::rt;
use playhouse::{CallError, Client, Function, TaskCx, TaskError, Tasks};
use serde::{Deserialize, Serialize};

use super::HEAD;
use super::book::{Run, Told, enter};

const PIECE: Function<Piece, u64> = Function::new("piece");

/// Who was refused calls again after so long.
const AGAIN: Duration = Duration::from_millis(20);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Piece {
    number: u64,
    pace_ms: u64,
}

pub(super) fn tasks() -> Tasks {
    Tasks::new().add(PIECE, piece)
}

fn piece(cx: &mut TaskCx, Piece { number, pace_ms }: Piece) -> Result<u64, TaskError> {
    enter(|book| book.runs.push(Run { number, node: cx.node().to_string() }));
    rt::pause(Duration::from_millis(pace_ms));
    Ok(value(number))
}

fn value(number: u64) -> u64 {
    number * number + 1
}

thread_local! {
    /// No two calls of a run have one number, also not those of two lives of the client.
    static NEXT: Cell<u64> = const { Cell::new(0) };
}

/// Many callers at once, who share what they know; for ever.
pub(super) async fn all(client: Client, callers: u64, pace: u64) -> String {
    NEXT.set(NEXT.get().max(1));
    let callers: Vec<_> = (0..callers).map(|caller| rt::spawn(one(client.clone(), caller, pace))).collect();
    for caller in callers {
        let _ = caller.await;
    }
    "its callers ended".into()
}

async fn one(client: Client, caller: u64, pace: u64) {
    loop {
        let number = NEXT.replace(NEXT.get() + 1);
        let told = call(&client, Piece { number, pace_ms: pace * (number % 4 + 1) / 2 }).await;
        let refused = matches!(told, Told::NotRun(_));
        rt::ledger::record("told", || format!("{number} {told:?}"));
        enter(|book| book.tell(number, caller, told));
        if refused {
            rt::sleep(AGAIN).await;
        }
    }
}

async fn call(client: &Client, piece: Piece) -> Told {
    let should = value(piece.number);
    let gave = async {
        let call = client.call(PIECE, &piece).await?;
        let headless = enter(|book| book.away.contains(HEAD)) == Some(true);
        let gave = call.wait().await;
        rt::sometimes!(headless && gave.is_ok(), "called without a coordinator");
        gave
    };
    match gave.await {
        Ok(is) => Told::Gave { is, should },
        Err(CallError::Unknown { node, last }) => {
            rt::reachable!("call-lost");
            Told::Unknown { node: node.to_string(), why: last.to_string() }
        }
        Err(error @ (CallError::Nobody | CallError::NotTaken { .. } | CallError::Coordinator(_))) => {
            rt::sometimes!(matches!(error, CallError::NotTaken { busy: 1.., .. }), "call-refused");
            Told::NotRun(error.to_string())
        }
        Err(error) => Told::Wrong(error.to_string()),
    }
}
