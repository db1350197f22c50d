//! Where two ledgers of one seed part.

use playhouse_sim::talk;

/// Two lines that should be one, and the last line before them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Difference<'a> {
    pub(crate) before: &'a str,
    pub(crate) one: &'a str,
    pub(crate) other: &'a str,
}

/// The first of them; none when the ledgers read the same.
pub(crate) fn first<'a>(a: &'a str, b: &'a str) -> Option<Difference<'a>> {
    const END: &str = "(the ledger ends here)";
    let (mut a, mut b) = (a.lines(), b.lines());
    let mut before = "(the beginning)";
    loop {
        match (a.next(), b.next()) {
            (None, None) => return None,
            (Some(x), Some(y)) if x == y => before = x,
            (x, y) => return Some(Difference { before, one: x.unwrap_or(END), other: y.unwrap_or(END) }),
        }
    }
}

/// A line of the ledger, and below it whose it is.
pub(crate) fn with_owner(line: &str) -> String {
    line.replacen(talk::OF, "\n      by ", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_that_differs_is_found_at_the_end_too() {
        assert_eq!(first("a\nb\n", "a\nb\n"), None);
        assert_eq!(first("a\nb\tx\n", "a\nc\n"), Some(Difference { before: "a", one: "b\tx", other: "c" }));
        assert_eq!(first("a", "a\nb").map(|found| (found.before, found.one)), Some(("a", "(the ledger ends here)")));
        assert_eq!(with_owner("b\tx"), "b\n      by x");
    }
}
