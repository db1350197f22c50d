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

/// Writes a line to standard output. Whoever reads it may have gone away (`| head`); that changes nothing of what was found. But what cannot be
/// written for another reason would be missed: the program ends.
pub(crate) fn out(line: &str) {
    if let Err(error) = writeln!(std::io::stdout(), "{line}")
        && error.kind() != std::io::ErrorKind::BrokenPipe
    {
        let _ = writeln!(std::io::stderr(), "standard output cannot be written: {error}");
        std::process::exit(BAD_USAGE.into());
    }
}
