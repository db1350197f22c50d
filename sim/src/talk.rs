//! What `cargo playhouse` and a test's process say to each other, and which lines of a ledger people want to see. Both worlds know it.

/// In the environment: print the test's range of seeds behind [`SEEDS`], and ` canary` if it is one, and run nothing.
pub const ASK: &str = "PLAYHOUSE_SIM_ASK";

/// In the environment: run this one seed, print the report as JSON behind [`REPORT`], and end when standard input does: whoever started
/// this is gone then.
pub const SEED: &str = "PLAYHOUSE_SIM_SEED";

/// In the environment: the first line of standard input is a plan, as JSON. Its faults are used, whatever the test would draw.
pub const PLAN: &str = "PLAYHOUSE_SIM_PLAN";

/// In the environment: print the ledger's lines, each behind [`EVENT`], and whose it is behind [`OF`].
pub const LEDGER: &str = "PLAYHOUSE_SIM_LEDGER";

/// In the environment: write a page that shows the run to this file.
pub const HTML: &str = "PLAYHOUSE_SIM_HTML";

/// In the environment: the command that runs this again, for the page.
pub const COMMAND: &str = "PLAYHOUSE_SIM_COMMAND";

/// How the answer to [`ASK`] begins. The test may have printed something of its own before it on the same line, as before the others.
pub const SEEDS: &str = "playhouse-sim: seeds ";

/// How the line with the report begins.
pub const REPORT: &str = "playhouse-sim: report ";

/// How a line of the ledger begins.
pub const EVENT: &str = "playhouse-sim: event ";

/// Between a line of the ledger and whose it is.
pub const OF: char = '\t';

/// Kinds of lines that are left out unless all are wanted: there are thousands of them.
pub const FINE: [&str; 11] = ["send", "arrive", "timer", "begin", "poll", "draw", "entropy", "work", "tell", "ask", "answer"];

/// Kinds of lines that have no place on a page: the executor's and the dice's own.
pub const UNSEEN: [&str; 3] = ["poll", "draw", "entropy"];

/// The kind of a line of the ledger, as it is printed.
pub fn kind(line: &str) -> &str {
    // Behind its number, the time, the node and the task.
    line.split_whitespace().nth(4).unwrap_or_default()
}

#[cfg(all(test, madsim))]
mod tests {
    use playhouse_rt::sim::ledger::Line;

    #[test]
    fn the_kind_is_found_in_a_line_as_it_is_printed() {
        let line = Line {
            number: 7,
            at: 1_500_000_000,
            node: "a#1",
            actor: "x",
            task: 3,
            place: "p",
            name: "n",
            kind: "send",
            detail: "a 1",
        };
        assert_eq!(super::kind(&line.to_string()), "send");
    }
}
