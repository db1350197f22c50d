//! Lines in, page out.

use serde_json::{Value, json};

use super::*;

fn entry<'a>(ms: u64, node: &'a str, actor: &'a str, kind: &'a str, detail: &'a str) -> Entry<'a> {
    Entry { at: ms * 1_000_000, node, actor, kind, detail }
}

fn chart(lines: &[Entry<'_>], verdict: Value) -> Chart {
    let mut timeline = Timeline::new();
    lines.iter().for_each(|line| timeline.add(line));
    timeline.finish(Run { scenario: "test".into(), seed: 7, ..Run::default() }, verdict)
}

fn arrows(chart: &Chart) -> Vec<(usize, usize, u8)> {
    let Arrows { to, back, kind } = &chart.arrows;
    to.iter().zip(back).zip(kind).map(|((to, back), kind)| (to - back, *to, *kind)).collect()
}

fn lane(chart: &Chart, event: usize) -> (&str, &str) {
    let lane = &chart.lanes[chart.events.lane[event]];
    (&chart.nodes[lane.node].name, &lane.name)
}

#[test]
fn events_are_in_the_lanes_of_their_actors() {
    let lines = [
        entry(0, "-", "", "start", "b#1"),
        entry(0, "-", "", "start", "a#2"),
        entry(1, "b#1", "", "spawn", "group/worker"),
        entry(2, "b#1", "group/worker", "refused", "the mailbox is full"),
        entry(3, "b#1", "", "timer", ""),
        entry(4, "b#1", "", "send", "10.0.0.1:4433 > 10.0.0.2:4433 1200 B #5 0123456789abcdef0123456789abcdef +7us"),
        entry(5, "a#2", "", "send", "10.0.0.2:4433 > 10.0.0.1:4433 38 B #6 0123456789abcdef0123456789abcdef lost"),
        entry(6, "-", "", "arrive", "10.0.0.1:4433 > 10.0.0.2:4433 1200 B #5"),
        entry(7, "-", "", "climate", "mild"),
        entry(8, "b#1", "group/worker", "lost", "#3 Note to solo: the mailbox was full: it holds 1"),
    ];
    let chart = chart(&lines, Value::Null);
    assert_eq!(chart.nodes.iter().map(|node| node.name.as_str()).collect::<Vec<_>>(), ["world", "a", "b"]);
    assert_eq!((lane(&chart, 0), lane(&chart, 1)), (("b", ""), ("a", "")));
    assert_eq!((lane(&chart, 2), lane(&chart, 3)), (("b", "group/worker"), ("b", "group/worker")));
    assert_eq!(lane(&chart, 4), ("b", "tasks, timers, disk"));
    assert_eq!((lane(&chart, 5), lane(&chart, 7)), (("b", "datagrams"), ("a", "datagrams")), "it arrives where it was sent to");
    assert_eq!(lane(&chart, 8), ("world", ""));
    assert_eq!(lane(&chart, 9), ("b", "solo"), "where it was to go, whoever noticed");
    // Lanes of a node stand together, the node's own first.
    let nodes: Vec<usize> = chart.lanes.iter().map(|lane| lane.node).collect();
    assert!(nodes.is_sorted());
    for node in 0..chart.nodes.len() {
        assert_eq!(chart.lanes.iter().find(|lane| lane.node == node).unwrap().name, "");
    }
    assert_eq!(chart.strings[chart.events.text[5]], "10.0.0.1:4433 > 10.0.0.2:4433 1200 B #5 +7us", "no hash");
    assert_eq!(chart.events.after, [0, 0, 1, 1, 1, 1, 1, 1, 1, 1].map(|ms| ms * 1_000_000));
}

#[test]
fn arrows_join_what_belongs_together() {
    let lines = [
        entry(0, "a#1", "one", "ask", "#1 Query to two@b"),
        entry(0, "a#1", "one", "tell", "#2 Note to two@b"),
        entry(1, "a#1", "", "send", "10.0.0.1:1 > 10.0.0.2:1 90 B #2 00 +1us +2us"),
        entry(2, "-", "", "arrive", "10.0.0.1:1 > 10.0.0.2:1 90 B #2"),
        entry(3, "b#2", "two", "message", "#1 two Query"),
        entry(3, "b#2", "two", "lost", "#2 Note to two: full"),
        entry(4, "-", "", "arrive", "10.0.0.1:1 > 10.0.0.2:1 90 B #2"),
        entry(5, "a#1", "one", "answer", "#1 "),
        entry(6, "b#2", "two", "message", "two Unknown"),
    ];
    let chart = chart(&lines, Value::Null);
    assert_eq!(arrows(&chart), [(2, 3, 2), (0, 4, 0), (1, 5, 0), (2, 6, 2), (4, 7, 1)]);
}

#[test]
fn faults_are_bands_over_their_nodes() {
    let lines = [
        entry(0, "-", "", "start", "a#1"),
        entry(0, "-", "", "start", "b#2"),
        entry(1, "a#1", "", "send", "10.0.0.1:1 > 10.0.0.2:1 9 B #0 00 lost"),
        entry(1, "b#2", "", "send", "10.0.0.2:1 > 10.0.0.1:1 9 B #1 00 lost"),
        entry(2, "-", "", "cut", "10.0.0.2 and 10.0.0.1"),
        entry(3, "-", "", "fault", "begin 4 a slow disk on b"),
        entry(4, "-", "", "kill", "a#1"),
        entry(5, "-", "", "mend", "10.0.0.2 and 10.0.0.1"),
        entry(6, "-", "", "fault", "begin 5 a partition on a,b"),
        entry(7, "-", "", "start", "a#3"),
        entry(8, "-", "", "fault", "end 4 a slow disk"),
        entry(9, "-", "", "fault", "begin 6 bad weather"),
        entry(10, "a#3", "", "node", "a"),
    ];
    let chart = chart(&lines, Value::Null);
    let ms = |ns: u64| ns / 1_000_000;
    let bands: Vec<_> = chart.bands.iter().map(|band| (band.kind, band.nodes.as_slice(), ms(band.from), ms(band.to))).collect();
    let (a, b) = (1, 2);
    let whole: &[usize] = &[];
    assert_eq!(
        bands,
        [
            ("cut", [a, b].as_slice(), 2, 5),
            ("fault", [b].as_slice(), 3, 8),
            ("down", [a].as_slice(), 4, 7),
            ("fault", [a, b].as_slice(), 6, 10),
            ("fault", whole, 9, 10),
        ]
    );
    assert_eq!(chart.bands[0].text, "a and b are cut off from each other");
    assert_eq!(chart.bands[1].text, "fault 4: a slow disk on b");
    let lives: Vec<_> = chart.nodes[a].lives.iter().map(|life| (life.name.as_str(), ms(life.from), ms(life.to))).collect();
    assert_eq!(lives, [("a#1", 0, 4), ("a#3", 7, 10)]);
}

#[test]
fn a_broken_promise_is_flagged() {
    let lines = [entry(0, "a#1", "", "node", "a"), entry(1, "a#1", "", "breach", "early"), entry(2, "a#1", "", "node", "b")];
    let broken = json!({ "kind": "broken", "promise": "all is well", "seen": "it is not" });
    assert_eq!(chart(&lines, broken.clone()).flag, Some(Flag { event: 1, seen_at_once: true }));
    assert_eq!(
        chart(&lines[..1], broken.clone()).flag,
        Some(Flag { event: 0, seen_at_once: false }),
        "at the end, for want of better"
    );
    assert_eq!(chart(&lines[..1], Value::Null).flag, None);
    assert_eq!(chart(&[], broken).flag, None, "nothing can be marked");
}

/// What stands between the page's data element and its end, as a browser finds it.
fn embedded(page: &str) -> &str {
    let begin = r#"<script type="application/json" id="data">"#;
    let rest = &page[page.find(begin).unwrap() + begin.len()..];
    &rest[..rest.find("</script>").unwrap()]
}

#[test]
fn the_page_holds_the_data_whatever_it_says() {
    let nasty = "</script><!-- <script> \u{2028} \"quoted\" {{script}} {{data}} \\ ä";
    let lines = [entry(0, "a#1", nasty, "message", nasty)];
    let mut chart = chart(&lines, json!({ "kind": "broken", "promise": nasty, "seen": nasty }));
    chart.run.scenario = "<b>".into();
    let page = page(&chart);
    let data: Value = serde_json::from_str(embedded(&page)).unwrap();
    assert_eq!(data, serde_json::to_value(&chart).unwrap(), "what is read is what was written");
    assert_eq!(data["strings"][0], nasty);
    assert!(page.contains("<title>&lt;b&gt; seed 7</title>"));
    assert_eq!((page.matches("<script").count(), page.matches("</script>").count()), (2, 2));
    // Nothing is left to be filled but what the data says.
    assert_eq!(page.matches("{{").count(), embedded(&page).matches("{{").count());
    for outside in ["src=", "href=", "url(", "@import", "http://", "https://", "fetch("] {
        assert!(!page.contains(outside), "the page needs something from outside: {outside}");
    }
}

#[test]
fn long_texts_are_cut_between_characters() {
    let long = "ä".repeat(TEXT_MAX);
    let chart = chart(&[entry(0, "a#1", "", "plan", &long)], Value::Null);
    assert!(chart.strings[0].len() <= TEXT_MAX + '…'.len_utf8() && chart.strings[0].ends_with("ä…"));
}

#[test]
fn a_run_that_is_too_long_loses_its_end_and_says_so() {
    let mut timeline = Timeline::new();
    for _ in 0..EVENTS_MAX + 3 {
        timeline.add(&entry(1, "a#1", "", "timer", ""));
    }
    assert_eq!((timeline.total(), timeline.left_out()), (EVENTS_MAX as u64 + 3, 3));
    let chart = timeline.finish(Run::default(), Value::Null);
    assert_eq!((chart.events.len(), chart.left_out), (EVENTS_MAX, 3));
}
