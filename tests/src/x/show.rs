//! What a person sees: a line per step, what failed, and a table at the end.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use super::process::Event;

/// How often a log without a terminal is told that a long step still runs.
const STILL_RUNNING: Duration = Duration::from_secs(30);

/// How much of a step's last line is shown beside it, in characters.
const LINE_SHOWN: usize = 70;

/// Standard output, with colours and a line that changes if it is a terminal.
pub(super) struct Screen {
    terminal: bool,
    colours: bool,
    begun: Instant,
    told: Instant,
    last: String,
}

/// A step of the table: its name, how it went (`None`: it was not run), how long it took.
pub(super) type Row<'a> = (&'a str, Option<&'a Result<String, String>>, Duration);

#[derive(Clone, Copy)]
enum Colour {
    Red = 31,
    Green = 32,
    Grey = 90,
}

impl Screen {
    pub(super) fn new() -> Screen {
        let terminal = io::stdout().is_terminal();
        // https://no-color.org: any text that is not empty.
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let now = Instant::now();
        Screen { terminal, colours: terminal && !refused, begun: now, told: now, last: String::new() }
    }

    fn print(&self, text: &str) {
        let mut out = io::stdout().lock();
        // A reader that has gone away is no reason to stop the steps.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }

    /// What a step printed, as it was where colours are wanted.
    fn line(&self, line: &str) -> String {
        if self.colours { format!("{line}\x1b[0m") } else { plain(line) }
    }

    fn paint(&self, colour: Colour, text: &str) -> String {
        if self.colours { format!("\x1b[{}m{text}\x1b[0m", colour as u8) } else { text.to_string() }
    }

    /// A step begins.
    pub(super) fn begin(&mut self, number: usize, of: usize, name: &str, about: &str) {
        (self.begun, self.told) = (Instant::now(), Instant::now());
        self.last.clear();
        self.print(&format!("[{number}/{of}] {name}: {about}\n"));
    }

    /// A step runs.
    pub(super) fn progress(&mut self, name: &str, event: Event<'_>, verbose: bool) {
        if let Event::Line(line) = event {
            if verbose {
                return self.print(&format!("{}\n", self.line(line)));
            }
            self.last = plain(line).chars().take(LINE_SHOWN).collect();
        }
        let elapsed = seconds(self.begun.elapsed());
        if verbose {
        } else if self.terminal {
            // Not for each of thousands of lines.
            if self.told.elapsed() >= Duration::from_millis(100) {
                self.told = Instant::now();
                self.print(&format!("\r\x1b[2K  {elapsed} {}", self.paint(Colour::Grey, &self.last)));
            }
        } else if self.told.elapsed() >= STILL_RUNNING {
            self.told = Instant::now();
            self.print(&format!("  {name} still runs after {elapsed}: {}\n", self.last));
        }
    }

    /// A step ended.
    pub(super) fn end(&mut self, name: &str, result: &Result<String, String>, took: Duration) {
        let clear = if self.terminal { "\r\x1b[2K" } else { "" };
        let (verdict, detail) = match result {
            Ok(detail) => (self.paint(Colour::Green, "passed"), detail),
            Err(detail) => (self.paint(Colour::Red, "FAILED"), detail),
        };
        let detail = if detail.is_empty() { String::new() } else { format!(": {detail}") };
        self.print(&format!("{clear}  {name} {verdict} after {}{detail}\n", seconds(took)));
    }

    /// What a step that failed printed last, and how to run it alone.
    pub(super) fn tail(&self, lines: &[String], command: &str) {
        let lines: String = lines.iter().map(|line| format!("  | {}\n", self.line(line))).collect();
        self.print(&format!("{lines}  to run it alone: {command}\n"));
    }

    /// All steps with how they went.
    pub(super) fn table(&self, rows: &[Row<'_>], took: Duration) {
        let width = rows.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
        let mut text = String::from("\n");
        for (name, result, took) in rows {
            let (verdict, detail) = match result {
                Some(Ok(detail)) => (self.paint(Colour::Green, "passed "), detail.as_str()),
                Some(Err(detail)) => (self.paint(Colour::Red, "FAILED "), detail.as_str()),
                None => (self.paint(Colour::Grey, "not run"), ""),
            };
            text.push_str(format!("{name:<width$}  {verdict}  {:>9}  {detail}", seconds(*took)).trim_end());
            text.push('\n');
        }
        text.push_str(&format!("{:<width$}           {:>9}\n\n", "all", seconds(took)));
        self.print(&text);
    }
}

/// The line without control characters and without escape sequences: rustfmt, for one, colours what no terminal reads.
fn plain(line: &str) -> String {
    let mut text = String::new();
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            // `ESC [ … letter`, or ESC, intermediates and a final character (as in `ESC ( B`).
            '\x1b' => match chars.next() {
                Some('[') => drop(chars.find(|c| ('\x40'..='\x7e').contains(c))),
                Some(' '..='/') => drop(chars.find(|c| ('\x30'..='\x7e').contains(c))),
                _ => {}
            },
            '\t' => text.push(' '),
            c if c.is_control() => {}
            c => text.push(c),
        }
    }
    text
}

fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 { format!("{:.1} s", duration.as_secs_f64()) } else { format!("{} min {:02} s", seconds / 60, seconds % 60) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short_and_lines_are_plain() {
        assert_eq!(seconds(Duration::from_millis(1_240)), "1.2 s");
        assert_eq!(seconds(Duration::from_secs(187)), "3 min 07 s");
        assert_eq!(plain("\x1b(B\x1b[m\x1b[1;31m-a\x1b[2K\tb\r"), "-a b");
        assert_eq!(plain("\x1b[31"), "");
    }
}
