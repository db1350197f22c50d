//! What `cargo sim` and `cargo playhouse` share.

pub(crate) mod arguments;
pub(crate) mod claimed;
pub(crate) mod difference;
pub(crate) mod files;
pub(crate) mod process;
pub(crate) mod trial;

use std::io::Write;

/// Wrong arguments, or a file that cannot be read or written.
pub(crate) const BAD_USAGE: u8 = 4;

/// Writes a line to standard output. Whoever reads it may have gone away (`| head`); that changes nothing of what was found.
pub(crate) fn out(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
