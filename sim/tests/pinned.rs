//! Saved plans as tests, as `cargo sim shrink` writes them.
#![cfg(madsim)]

#[test]
fn stale_results_are_accepted_when_a_bug_lets_them() {
    playhouse_sim::pinned(include_str!("../plans/accept-stale-results.json"));
}

#[test]
#[should_panic(expected = "each task's effect is applied once")]
fn a_pinned_bug_must_be_found() {
    let text = include_str!("../plans/accept-stale-results.json");
    // A bug that changes nothing here: what the plan was saved with does not show.
    playhouse_sim::pinned(&text.replace("\"bug\": \"accept-stale-results\"", "\"bug\": \"endless-asks\""));
}
