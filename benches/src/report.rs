//! What a bench found: a table for people, one line of JSON for scripts.

use std::io::{IsTerminal, Write};

use serde_json::{Map, Value, json};

use crate::options::Plan;
use crate::rounds::Figures;

/// Which way a figure should go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    Lower,
    Higher,
}

/// Ours beside one peer.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) metric: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    pub(crate) ours: Figures,
    pub(crate) peer: &'static str,
    pub(crate) theirs: Figures,
    /// How ours was set up.
    pub(crate) ours_note: &'static str,
    /// How theirs was set up, and what is not alike.
    pub(crate) theirs_note: &'static str,
    /// Further keys of the JSON row.
    pub(crate) more: Vec<(&'static str, Value)>,
}

/// All rows of a bench.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) bench: &'static str,
    pub(crate) plan: Plan,
    pub(crate) rows: Vec<Row>,
}

const GREEN: &str = "\x1b[32m";
const RED: &str = "\x1b[31m";
const PLAIN: &str = "\x1b[0m";

impl Row {
    fn ratio(&self) -> f64 {
        self.ours.median() / self.theirs.median()
    }

    fn is_better(&self) -> bool {
        match self.better {
            Better::Lower => self.ratio() < 1.0,
            Better::Higher => self.ratio() > 1.0,
        }
    }

    fn json(&self) -> Value {
        let range = |figures: &Figures| {
            let (low, high) = figures.range();
            json!([rounded(low), rounded(high)])
        };
        let mut row = Map::new();
        let mut put = |key: &str, value: Value| drop(row.insert(key.to_string(), value));
        put("metric", json!(self.metric));
        put("unit", json!(self.unit));
        put("ours", json!(rounded(self.ours.median())));
        put("peer", json!(self.peer));
        put("theirs", json!(rounded(self.theirs.median())));
        put("ratio", json!(rounded(self.ratio())));
        put("better", json!(self.better.word()));
        put("note", json!(format!("ours: {}; {}: {}", self.ours_note, self.peer, self.theirs_note)));
        put("ours_range", range(&self.ours));
        put("theirs_range", range(&self.theirs));
        for (key, value) in &self.more {
            put(key, value.clone());
        }
        Value::Object(row)
    }
}

impl Better {
    fn word(self) -> &'static str {
        match self {
            Better::Lower => "lower",
            Better::Higher => "higher",
        }
    }
}

impl Report {
    /// Prints it: the table alone, or the table to standard error and the JSON as the last line of standard output.
    pub(crate) fn show(&self, json: bool) {
        let no_color = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        // A closed pipe is no reason to fail.
        if json {
            let _ = write!(std::io::stderr(), "{}", self.table(std::io::stderr().is_terminal() && !no_color));
            let _ = writeln!(std::io::stdout(), "{}", self.json());
        } else {
            let _ = write!(std::io::stdout(), "{}", self.table(std::io::stdout().is_terminal() && !no_color));
        }
    }

    fn json(&self) -> Value {
        let rows: Vec<Value> = self.rows.iter().map(Row::json).collect();
        json!({ "bench": self.bench, "rows": rows, "rounds": self.plan.rounds, "quick": self.plan.quick, "cores": cores() })
    }

    fn table(&self, colors: bool) -> String {
        let mut lines = vec![["metric", "unit", "ours", "peer", "theirs", "ratio", "better"].map(str::to_string)];
        lines.extend(self.rows.iter().map(|row| {
            let (ours, theirs) = (number(row.ours.median()), number(row.theirs.median()));
            let ratio = format!("{:.2}", row.ratio());
            [row.metric.into(), row.unit.into(), ours, row.peer.into(), theirs, ratio, row.better.word().into()]
        }));
        let widths: [usize; 7] =
            std::array::from_fn(|column| lines.iter().map(|line| line[column].len()).max().unwrap_or_default());
        let mut text = String::new();
        for (index, line) in lines.iter().enumerate() {
            let cells = line.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
                let padded = if matches!(column, 2 | 4 | 5) { format!("{cell:>width$}") } else { format!("{cell:<width$}") };
                match index.checked_sub(1).map(|row| self.rows[row].is_better()) {
                    Some(better) if colors && column == 5 => format!("{}{padded}{PLAIN}", if better { GREEN } else { RED }),
                    _ => padded,
                }
            });
            let line = cells.collect::<Vec<_>>().join("  ");
            text.push_str(line.trim_end());
            text.push('\n');
        }
        let rounds = self.plan.rounds;
        let plural = if rounds == 1 { "" } else { "s" };
        text.push_str(&format!(
            "\n{} core{}, medians of {rounds} round{plural} in turns. Machines differ: what counts is the ratio (ours : theirs) within one run.\n",
            cores(),
            if cores() == 1 { "" } else { "s" },
        ));
        if self.plan.quick {
            text.push_str("This was --quick: it shows that everything works, and no more.\n");
        }
        for rows in self.rows.chunk_by(|a, b| a.metric == b.metric) {
            text.push_str(&format!("\n{}\n  {:<7} {}\n", rows[0].metric, "ours", rows[0].ours_note));
            for row in rows {
                text.push_str(&format!("  {:<7} {}\n", row.peer, row.theirs_note));
            }
        }
        text
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Four digits are more than these figures deserve.
fn rounded(figure: f64) -> f64 {
    if figure == 0.0 || !figure.is_finite() {
        return figure;
    }
    let digits = 4 - 1 - figure.abs().log10().floor() as i32;
    let unit = 10f64.powi(digits.abs());
    if digits >= 0 { (figure * unit).round() / unit } else { (figure / unit).round() * unit }
}

/// A figure with as many places as matter.
fn number(figure: f64) -> String {
    match figure {
        f if f >= 10_000.0 => {
            let digits = format!("{:.0}", rounded(f));
            let groups: Vec<&str> =
                digits.as_bytes().rchunks(3).rev().filter_map(|group| std::str::from_utf8(group).ok()).collect();
            groups.join(",")
        }
        f if f >= 100.0 => format!("{f:.0}"),
        f if f >= 10.0 => format!("{f:.1}"),
        f => format!("{f:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_written_as_people_read_them() {
        let written = [1_234_567.8, 10_000.0, 523.44, 52.14, 5.214, 0.0].map(number);
        assert_eq!(written, ["1,235,000", "10,000", "523", "52.1", "5.21", "0.00"]);
        assert_eq!([1_234_567.8, 52.1449, 0.0123456].map(rounded), [1_235_000.0, 52.14, 0.01235]);
    }
}
