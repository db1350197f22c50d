//! What a person reads.

use std::io::{IsTerminal, Write};

use crate::common::out;

/// A line of progress on standard error, when it is a terminal.
pub(crate) struct Progress {
    shown: bool,
    total: u64,
    done: u64,
    failed: u64,
}

impl Progress {
    pub(crate) fn new(total: u64) -> Progress {
        Progress { shown: std::io::stderr().is_terminal(), total, done: 0, failed: 0 }
    }

    pub(crate) fn step(&mut self, failed: bool) {
        self.done += 1;
        self.failed += u64::from(failed);
        if self.shown {
            eprint!("\r{} of {} seeds, {} failed ", self.done, self.total, self.failed);
            let _ = std::io::stderr().flush();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            eprint!("\r\x1b[K");
        }
    }
}

/// Prints rows under heads, each column as wide as its widest cell.
pub(crate) fn print(heads: &[&str], rows: &[Vec<String>]) {
    let width =
        |column: usize| rows.iter().map(|row| row[column].chars().count()).chain([heads[column].len()]).max().unwrap_or(0);
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let cells: Vec<String> = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        out(cells.join("  ").trim_end());
    };
    line(heads.to_vec());
    for row in rows {
        line(row.iter().map(String::as_str).collect());
    }
}
