//! Where in the source something was started.

/// A place in the source, for a simulation to name. In production it is nothing, and costs nothing.
#[derive(Clone, Copy, Debug)]
pub struct Place(#[cfg(madsim)] pub(crate) &'static std::panic::Location<'static>);

impl Place {
    /// Where this is called, or where the function is called that says `#[track_caller]` and calls this.
    #[track_caller]
    #[inline(always)]
    pub fn here() -> Place {
        Place(
            #[cfg(madsim)]
            std::panic::Location::caller(),
        )
    }
}

#[cfg(madsim)]
impl Place {
    /// Two checkouts give the same text.
    pub(crate) fn file(&self) -> &'static str {
        /// Of a path that begins at the root of this machine, so many names at its end say enough.
        const NAMES: usize = 4;
        let file = self.0.file();
        let from = if file.starts_with('/') { file.rmatch_indices('/').nth(NAMES - 1).map_or(0, |(at, _)| at + 1) } else { 0 };
        &file[from..]
    }

    pub(crate) fn line(&self) -> u32 {
        self.0.line()
    }
}

/// As `file:line`.
#[cfg(madsim)]
impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file(), self.line())
    }
}
