//! Text for people: colours that they may switch off, numbers that they can read.

use std::io::{IsTerminal, Write};

/// Colours for standard output, or none.
#[derive(Clone, Copy)]
pub(crate) struct Paint(bool);

impl Paint {
    /// Colours when standard output is a terminal and <https://no-color.org> does not say otherwise.
    pub(crate) fn stdout() -> Paint {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Paint(wanted && std::io::stdout().is_terminal())
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// A verdict: green or red.
    pub(crate) fn verdict(self, good: bool, text: &str) -> String {
        self.paint(if good { "32" } else { "31;1" }, text)
    }
}

/// Text from files and their names, for a terminal: control characters are shown, not obeyed, and long ones are cut.
pub(crate) fn tame(text: &str) -> String {
    shown(text, 120)
}

/// The same for whole sentences: what to do stands at their end.
pub(crate) fn sentence(text: &str) -> String {
    shown(text, 1000)
}

fn shown(text: &str, most: usize) -> String {
    let mut tame: String = text
        .chars()
        .take(most)
        .flat_map(|c| if c.is_control() { c.escape_default().to_string().chars().collect() } else { vec![c] })
        .collect();
    if text.chars().nth(most).is_some() {
        tame.push('…');
    }
    tame
}

/// Writes to standard output. Whoever reads it may have gone away; that changes nothing of what was found.
pub(crate) fn out(text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
}

/// Writes to standard error, likewise.
pub(crate) fn err(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// `1234567` as `1,234,567`.
pub(crate) fn number(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Bytes in the unit that fits.
pub(crate) fn bytes(n: u64) -> String {
    match n {
        0..1024 => format!("{n} B"),
        1024..1_048_576 => format!("{:.1} KiB", n as f64 / 1024.0),
        _ => format!("{:.1} MiB", n as f64 / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_command_the_terminal() {
        assert_eq!(tame("a\x1b[31mRED\nnext"), "a\\u{1b}[31mRED\\nnext");
        assert_eq!(tame(&"ä".repeat(500)).chars().count(), 121);
        assert_eq!([500, 5000].map(|length| sentence(&"\n".repeat(length)).chars().count()), [1000, 2001]);
    }

    #[test]
    fn numbers_are_grouped() {
        assert_eq!([0, 999, 1000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([12, 2048, 3 << 20].map(bytes), ["12 B", "2.0 KiB", "3.0 MiB"]);
    }
}
