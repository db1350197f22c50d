//! The program gives what scripts rely on. Nothing here looks at how fast anything was.
#![allow(missing_docs)]

use std::process::{Command, Output};

use serde_json::Value;

fn bench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_playhouse-benches")).args(arguments).output().expect("the program starts")
}

/// The JSON object on the last line of standard output.
fn last_line(arguments: &[&str]) -> Value {
    let output = bench(arguments);
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{arguments:?} ends with {}: {stderr}", output.status);
    assert!(stderr.contains("ratio") && !stderr.contains('\x1b'), "the table goes to standard error, without colours: {stderr}");
    serde_json::from_str(stdout.lines().last().expect("a last line")).expect("it is JSON")
}

fn check(bench: &str, metrics: &[(&str, &str, &str)], peers: &[&str]) {
    let report = last_line(&[bench, "--quick", "--json"]);
    let rows = has_rows(&report, bench, metrics, peers);
    assert_eq!(rows, metrics.len() * peers.len());
}

/// Gives how many rows there are.
fn has_rows(report: &Value, bench: &str, metrics: &[(&str, &str, &str)], peers: &[&str]) -> usize {
    assert_eq!(report["bench"], bench);
    assert!(report["cores"].as_u64().is_some_and(|cores| cores > 0));
    let rows = report["rows"].as_array().expect("rows");
    for (metric, unit, better) in metrics {
        for peer in peers {
            let row = rows.iter().find(|row| row["metric"] == *metric && row["peer"] == *peer);
            let row = row.unwrap_or_else(|| panic!("no row of {metric} beside {peer}"));
            assert_eq!((row["unit"].as_str(), row["better"].as_str()), (Some(*unit), Some(*better)), "{row}");
            let figure =
                |key: &str| row[key].as_f64().filter(|figure| *figure > 0.0).unwrap_or_else(|| panic!("no {key}: {row}"));
            let ratio = figure("ours") / figure("theirs");
            assert!((figure("ratio") / ratio - 1.0).abs() < 0.01, "ratio is ours by theirs: {row}");
            assert!(row["note"].as_str().is_some_and(|note| note.contains(peer)), "{row}");
        }
    }
    rows.len()
}

#[test]
fn actors_has_all_its_rows() {
    let metrics = [
        ("local_tell", "ns", "lower"),
        ("local_ask", "ns", "lower"),
        ("spawn_ask", "ns", "lower"),
        ("bytes_per_actor", "bytes", "lower"),
        ("local_tell_across", "ns", "lower"),
    ];
    check("actors", &metrics, &["actix", "ractor", "kameo"]);
}

#[test]
fn remote_has_all_its_rows() {
    let report = last_line(&["remote", "--quick", "--json"]);
    has_rows(&report, "remote", &[("remote_tell", "records/s", "higher"), ("remote_ask", "us", "lower")], &["quinn"]);
    let beats = [("beat_beside_bulk_p50", "us", "lower"), ("beat_beside_bulk_p99", "us", "lower")];
    assert_eq!(has_rows(&report, "remote", &beats, &["idle"]), 4);
}

/// Beside constants; etcd may not be there.
#[test]
fn cluster_has_all_its_rows() {
    let report = last_line(&["cluster", "--quick", "--json"]);
    let metrics = [
        ("durable_commands", "commands/s", "higher"),
        ("batch_of_100_p50", "ms", "lower"),
        ("failover_p99", "ms", "lower"),
        ("join", "ms", "lower"),
        ("memory_of_workers", "MB", "lower"),
        ("beats_on_the_wire", "KB/s", "lower"),
    ];
    has_rows(&report, "cluster", &metrics, &["goal"]);
}

#[test]
fn an_unknown_name_is_refused_with_the_list() {
    let output = bench(&["actress"]);
    assert_eq!(output.status.code(), Some(4));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(["actress", "actors", "remote"].iter().all(|name| text.contains(name)), "{text}");
    assert!(output.stdout.is_empty());
}
