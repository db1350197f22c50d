use serde_json::json;

use super::*;

/// A ledger in short: `node task actor kind detail`, `.` for no actor; a line is a microsecond.
fn why(lines: &[&'static str]) -> Why {
    let mut why = Why::new();
    for (number, line) in (0..).zip(lines) {
        let parts: Vec<&str> = line.splitn(5, ' ').collect();
        let actor = if parts[2] == "." { "" } else { parts[2] };
        let detail = parts.get(4).copied().unwrap_or_default();
        let (node, task, kind) = (parts[0], parts[1].parse().unwrap(), parts[3]);
        why.add(&Entry { number, at: number * 1_000, node, task, actor, kind, detail });
    }
    why
}

fn broken() -> Value {
    json!({ "kind": "broken", "promise": "all is well", "seen": "it is not" })
}

fn slice(lines: &[&'static str]) -> Slice {
    why(lines).slice(&broken()).unwrap()
}

/// Each line of a slice as `number: what led to it`.
fn shape(slice: &Slice) -> Vec<String> {
    let step = |step: &Step| {
        let from: Vec<String> = step.from.iter().map(|(n, sure)| format!("{}{n}", if *sure { "" } else { "~" })).collect();
        format!("{}: {}", step.number, from.join(" "))
    };
    slice.events.iter().map(step).collect()
}

#[test]
fn a_break_is_followed_back_over_messages_tasks_and_lives_to_the_faults() {
    let slice = slice(&[
        "- 1 . start a#1",
        "- 1 . start b#2",
        "b#2 5 x spawn x",
        "b#2 5 . begin task 9 at other.rs:1",
        "b#2 9 . disk write /unrelated",
        "- 1 . fault begin 0 b's disk: write-error (1) for 9 ms on b",
        "b#2 7 . disk write-error of b: /file",
        "- 1 . fault begin 1 b loses its power, back after 1 ms on b",
        "- 1 . kill b#2",
        "- 1 . fault end 1",
        "- 1 . start b#3",
        "b#3 11 . link a1 up",
        "b#3 11 . ask #1 Join to head@a",
        "a#1 4 head message #1 head Join",
        "a#1 4 head effect open",
        "a#1 4 head tell #2 Open to y",
        "a#1 6 y message #2 y Open",
        "a#1 6 y breach it is not",
        "a#1 6 y effect nothing follows from it any more",
    ]);
    assert_eq!(shape(&slice), ["5: ", "6: 1", "7: ", "8: 3", "10: ~2 4", "11: 5", "13: 6", "14: 7", "16: 8", "17: 9"]);
    assert_eq!((slice.broken.as_str(), slice.notes.len()), ("all is well: it is not", 0));
    let (text, json) = (slice.to_string(), slice.json());
    assert!(text.contains("breach it is not [y]  <- 9") && text.ends_with("broken: all is well: it is not\n"), "{text}");
    assert_eq!((&json["events"][4]["perhaps_from"], &json["events"][4]["event"]), (&json!([2]), &json!(10)));
}

#[test]
fn what_came_late_may_have_to_do_with_a_fault_that_was_at_work_meanwhile() {
    let of = |fault: &'static str| {
        slice(&[
            "- 1 . start a#1",
            "- 1 . start b#2",
            "a#1 3 . tell #1 Beat to head@b",
            fault,
            "b#2 4 head message #1 head Beat",
            "b#2 4 head breach late",
        ])
    };
    assert_eq!(shape(&of("- 1 . fault begin 0 a stands still for 9 ms on a")), ["3: ", "4: ~1", "5: 2"]);
    let apart = of("- 1 . fault begin 0 c stands still for 9 ms on c");
    assert_eq!(shape(&apart), ["0: ", "4: 1", "5: 2"]);
    assert_eq!(apart.notes, ["nothing that is recorded joins this to it: begin 0 c stands still for 9 ms on c"]);
}

#[test]
fn an_answer_that_came_late_follows_from_what_the_asked_actor_did_last_before_it_left() {
    let slice = slice(&[
        "- 1 . start a#1",
        "- 1 . start b#2",
        "a#1 3 . ask #1 Watch to head@b",
        "b#2 8 . begin task 9 at served.rs:1",
        "b#2 4 head message #1 head Watch",
        "- 1 . fault begin 0 from a to b: 5 ms more on a,b",
        "a#1 6 . begin task 7 at x.rs:1",
        "a#1 7 . tell #2 Beat to head@b",
        "- 1 . fault end 0",
        "b#2 4 head message #2 head Beat",
        "b#2 4 head effect finished",
        "b#2 9 . answer ",
        "a#1 5 . tell #3 Beat to head@b",
        "b#2 4 head message #3 head Beat",
        "a#1 3 . answer #1 ",
        "a#1 3 . seen the result",
    ]);
    assert_eq!(shape(&slice), ["5: ", "9: ~1", "10: 2", "15: ~3"]);
}

#[test]
fn what_an_actor_remembers_is_followed_only_where_nothing_else_leads_on() {
    let slice = slice(&[
        "- 1 . start a#1",
        "- 1 . start b#2",
        "- 1 . fault begin 0 a stands still for 1 ms on a",
        "a#1 3 . tell #1 Set to head@b",
        "- 1 . fault end 0",
        "b#2 4 head message #1 head Set",
        "b#2 4 head message #9 head Noise",
        "b#2 5 . tell #2 Get to head",
        "b#2 4 head message #2 head Get",
        "b#2 4 head breach stale",
    ]);
    assert_eq!(shape(&slice), ["2: ", "5: ~1", "8: ~2", "9: 3"]);
}

#[test]
fn who_decides_about_a_silent_node_does_so_because_of_its_fault() {
    let slice = slice(&[
        "- 1 . start a#1",
        "- 1 . start b#2",
        "- 1 . fault begin 0 a is cut off from everybody for 9 ms on a",
        "- 1 . fault begin 1 c stands still for 9 ms on c",
        "b#2 4 head effect NodeLost { node: a }",
        "b#2 5 . tell #2 Get to head",
        "b#2 4 head message #2 head Get",
        "b#2 4 head breach stale",
    ]);
    assert_eq!(shape(&slice), ["2: ", "4: ~1", "6: ~2", "7: 3"]);
    assert_eq!(slice.notes.len(), 1, "{slice}");
}

#[test]
fn without_a_fault_the_shortest_chain_from_a_nodes_start_is_shown() {
    let lines = [
        "- 1 . start a#1",
        "- 1 . begin task 3 at x.rs:1",
        "a#1 3 . tell #1 Go to x",
        "a#1 4 x message #1 x Go",
        "a#1 4 x breach so",
    ];
    assert_eq!(shape(&slice(&lines)), ["0: ", "3: 1", "4: 2"]);
}

#[test]
fn what_is_not_broken_has_no_slice_and_a_break_that_no_event_shows_says_so() {
    let lines = ["- 1 . start a#1", "a#1 3 . stop x"];
    assert_eq!(why(&lines).slice(&Value::Null), None);
    assert_eq!(why(&lines).slice(&json!({ "kind": "stuck", "seen": "x" })), None);
    assert_eq!(why(&[]).slice(&broken()), None);
    assert!(slice(&lines).notes[0].contains("what happened last"));
}

#[test]
fn a_slice_of_very_many_faults_stays_readable() {
    let mut lines: Vec<String> = vec!["- 1 . start a#1".into(), "- 1 . start b#2".into()];
    for n in 0..200 {
        lines.push(format!("- 1 . fault begin {n} a stands still for 1 ms on a"));
        lines.push(format!("a#1 3 . tell #{n} Beat to head@b"));
        lines.push(format!("- 1 . fault end {n}"));
        lines.push(format!("b#2 4 head message #{n} head Beat"));
    }
    lines.push("b#2 4 head breach so".into());
    let lines: Vec<&'static str> = lines.into_iter().map(|line| &*line.leak()).collect();
    let slice = slice(&lines);
    assert!((10..=SLICE_MAX).contains(&slice.events.len()), "{}", slice.events.len());
    assert!(slice.notes.iter().any(|note| note.contains("more faults")), "{:?}", slice.notes);
}
